import io

import numpy as np
import pytest
from PIL import Image

from trivium.data.datasets import fashion_mnist, files
from trivium.data.errors import ConfigError, DataError
from trivium.data.prepare import prepare

COLUMNS = {"image": "img", "tasks": {"label": "label"}}
CONFIG = {"name": "tiny", "modality": "image", "columns": COLUMNS, "spec": {"shape": [3, 32, 32]}}


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """Local parquet files in CIFAR-10's schema: `img` (png) and `label` (named classes)."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(0)
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["plane", "car"])}
    )
    pixels = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    for split, rows in (("train", range(40)), ("test", range(40, 60))):
        columns = {
            "img": [Image.fromarray(pixels[i]) for i in rows],
            "label": [i % 2 for i in rows],
        }
        part = datasets.Dataset.from_dict(columns, features=features)
        (folder / "plain_text").mkdir(exist_ok=True)
        for shard in range(2):
            file = folder / "plain_text" / f"{split}-0000{shard}-of-00002.parquet"
            part.shard(2, shard, contiguous=True).to_parquet(file)
    return folder, pixels


def test_parquet_in_cifars_schema_is_read(cifar, tmp_path):
    folder, pixels = cifar
    parsed = files.parse(folder, CONFIG, tmp_path)
    np.testing.assert_array_equal(parsed.columns["image"], pixels.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(parsed.labels["label"], np.arange(60) % 2)
    assert parsed.tasks == {"label": ("plane", "car")}
    np.testing.assert_array_equal(parsed.train, np.arange(40))
    np.testing.assert_array_equal(parsed.test, np.arange(40, 60))


def test_it_becomes_a_store(cifar, tmp_path):
    config = CONFIG | {
        "modality": "image",
        "licence": "none",
        "parser": "trivium.data.datasets.files",
        "sources": [{"kind": "folder", "path": str(cifar[0])}],
    }
    store = prepare(config, tmp_path / "tiny")
    assert store.meta.counts == {"train": 36, "validation": 4, "test": 20}
    assert store.meta.tasks == {"label": ("plane", "car")}


def test_without_a_test_split_a_fifth_of_train_is_taken(cifar, tmp_path):
    parsed = files.parse(cifar[0], CONFIG | {"splits": {"train": "train", "test": None}}, tmp_path)
    assert (len(parsed.train), len(parsed.test)) == (32, 8)
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [4, 4])
    assert parsed.notes == ("The source has no test split: 0.2 of its samples are test.",)


def test_without_label_columns_it_has_no_tasks(cifar, tmp_path):
    parsed = files.parse(cifar[0], CONFIG | {"columns": {"image": "img", "tasks": {}}}, tmp_path)
    assert (parsed.labels, parsed.tasks) == ({}, {})


def test_wrong_columns_and_splits_are_named(cifar, tmp_path):
    with pytest.raises(DataError, match="no column 'image'; it has: img, label"):
        files.parse(cifar[0], CONFIG | {"columns": {}}, tmp_path)
    with pytest.raises(DataError, match="no column 'fine'"):
        files.parse(
            cifar[0], CONFIG | {"columns": COLUMNS | {"tasks": {"label": "fine"}}}, tmp_path
        )
    (tmp_path / "only").mkdir()
    for file in cifar[0].rglob("train-*"):
        (tmp_path / "only" / file.name).write_bytes(file.read_bytes())
    config = CONFIG | {"splits": {"train": "train", "test": "dev"}}
    with pytest.raises(DataError, match="no files of split dev or test; found"):
        files.parse(tmp_path / "only", config, tmp_path)


def test_plain_parquet_without_the_hubs_metadata(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    Image.new("L", (4, 4), 9).save(stream, "PNG")
    for split, num in (("train", 6), ("test", 2)):
        table = pa.table(
            {
                "image": [stream.getvalue()] * num,
                "kind": ["dog", "cat"] * (num // 2),
                "grade": [2] * num,
                "odd": [1.5] * num,
            }
        )
        pq.write_table(table, tmp_path / f"{split}.parquet")
    config = {"name": "x", "modality": "image", "spec": {"shape": [1, 4, 4]}}
    columns = {"tasks": {"kind": "kind", "grade": "grade"}}
    parsed = files.parse(tmp_path, config | {"columns": columns}, tmp_path)
    assert parsed.tasks == {"kind": ("cat", "dog"), "grade": ("2",)}
    assert parsed.labels["kind"].tolist() == [1, 0] * 4
    with pytest.raises(DataError, match=r"holds 1\.5, which is no class"):
        files.parse(tmp_path, config | {"columns": {"tasks": {"odd": "odd"}}}, tmp_path)


def test_a_broken_file_is_one_clear_error(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(DataError, match="broken"):
        files.parse(tmp_path, CONFIG | {"splits": {"train": "train"}}, tmp_path)


def test_fashion_mnist_reads_the_hubs_files_too(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    grey = [Image.new("L", (28, 28), i) for i in range(4)]
    part = datasets.Dataset.from_dict({"image": grey, "label": [0, 1, 0, 1]}, features=features)
    for split in ("train", "test"):
        part.to_parquet(tmp_path / f"{split}.parquet")
    config = {"name": "fashion_mnist", "modality": "image", "spec": {"shape": [1, 28, 28]}}
    parsed = fashion_mnist.parse(tmp_path, config, tmp_path)
    assert parsed.columns["image"][:, 0, 0, 0].tolist() == [0, 1, 2, 3] * 2


def test_a_shape_must_be_known(cifar, tmp_path):
    with pytest.raises(ConfigError, match=r"spec\.shape is None"):
        files.parse(cifar[0], CONFIG | {"spec": {}}, tmp_path)


def test_a_column_names_the_splits_and_one_keeps_groups_together(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    def encoded(number):
        stream = io.BytesIO()
        Image.new("L", (4, 4), number).save(stream, "PNG")
        return stream.getvalue()

    part = ["train", "val", "test", "train"] * 5
    pictures = [b"?" if one == "val" else encoded(row) for row, one in enumerate(part)]
    rows = {
        "image": pictures,
        "label": [0, 1] * 10,
        "part": part,
        "who": [n // 4 for n in range(20)],
    }
    pq.write_table(pa.table(rows), tmp_path / "all.parquet")
    config = {"name": "x", "modality": "image", "spec": {"shape": [1, 4, 4]}}
    columns = {"split": "part", "group": "who"}
    parsed = files.parse(tmp_path, config | {"columns": columns}, tmp_path)
    numbers = [row for row, one in enumerate(part) if one != "val"]
    assert parsed.columns["image"][:, 0, 0, 0].tolist() == numbers
    assert parsed.labels["label"].tolist() == [row % 2 for row in numbers]
    assert [numbers[i] for i in parsed.test] == list(range(2, 20, 4))
    # A group of the source's train and test counts as two.
    expected = [(row // 4, part[row]) for row in numbers]
    assert len(set(zip(expected, parsed.groups.tolist(), strict=True))) == len(set(expected)) == 10
    train_only = {"splits": {"train": "train", "test": None}, "columns": columns}
    alone = files.parse(tmp_path, config | train_only, tmp_path)
    assert not set(alone.groups[alone.train]) & set(alone.groups[alone.test])
