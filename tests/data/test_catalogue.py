import numpy as np
import pytest
from PIL import Image

from trivium.data.errors import ConfigError, DataError
from trivium.data.prepare import load_parser, prepare, spec_from_config
from trivium.data.store import Store
from trivium.types import DataSpec

SPEC = {"shape": [3, 8, 8], "tasks": None, "num_samples": None, "mean": None, "std": None}


@pytest.fixture
def config(tmp_path):
    for kind, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "mine" / kind).mkdir(parents=True)
        for number in range(20):
            file = tmp_path / "mine" / kind / f"{number:02}.png"
            Image.new("RGB", (8, 8), colour).save(file)
    return {
        "name": "mine",
        "modality": "image",
        "licence": "mine",
        "parser": "trivium.data.datasets.files",
        "sources": [{"kind": "folder", "path": str(tmp_path / "mine")}],
        "spec": SPEC,
    }


def test_a_folder_becomes_a_store_and_is_used_again(config, tmp_path, capsys):
    first = prepare(config, tmp_path / "store")
    assert first.meta.counts == {"train": 28, "validation": 4, "test": 8}
    written = (first.folder / "meta.json").stat().st_mtime_ns
    again = prepare(dict(reversed(config.items())), tmp_path / "store")
    assert again.fingerprint == first.fingerprint
    assert (again.folder / "meta.json").stat().st_mtime_ns == written
    assert "up to date" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} <= {"mine", "store", ".store.lock"}


def test_preparing_anew_gives_the_same_bytes(config, tmp_path):
    first = prepare(config, tmp_path / "store").fingerprint
    assert prepare(config, tmp_path / "store", force=True).fingerprint == first
    assert prepare(config, tmp_path / "other").fingerprint == first


def test_another_config_prepares_anew(config, tmp_path):
    prepare(config, tmp_path / "store")
    other = prepare(config | {"spec": SPEC | {"shape": [1, 4, 4]}}, tmp_path / "store")
    assert other.meta.shape == (1, 4, 4)


def test_a_changed_folder_prepares_anew(config, tmp_path):
    prepare(config, tmp_path / "store")
    Image.new("RGB", (8, 8), "green").save(tmp_path / "mine" / "red" / "new.png")
    assert prepare(config, tmp_path / "store").num_samples == 41


def test_a_broken_store_is_prepared_anew(config, tmp_path):
    column = prepare(config, tmp_path / "store").folder / "image.uint8.npy"
    good = column.read_bytes()
    column.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    prepare(config, tmp_path / "store")
    assert column.read_bytes() == good


def test_generated_data_need_no_source(tmp_path):
    config = {
        "name": "synthetic",
        "modality": "image",
        "licence": "CC0-1.0",
        "parser": "trivium.data.datasets.synthetic",
        "num_train": 50,
        "num_test": 10,
        "spec": {"shape": [3, 16, 16]},
    }
    store = prepare(config, tmp_path / "store")
    assert store.meta.source == "generated"
    assert store.spec("count").num_classes == 4


def test_recorded_facts_give_the_spec_before_any_data():
    config = {
        "name": "known",
        "modality": "image",
        "licence": "x",
        "parser": "trivium.data.datasets.files",
        "spec": {
            "shape": [3, 32, 32],
            "tasks": {"fine": 100, "coarse": 20},
            "num_samples": 45000,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.2, 0.2],
        },
    }
    spec = spec_from_config(config, "coarse")
    expected = ("known", "image", (3, 32, 32), 20, 45000, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    assert spec == DataSpec(*expected)
    assert spec_from_config(config).num_classes == 100
    assert spec_from_config(config, "label").num_classes == 100
    with pytest.raises(DataError, match="no task 'odd'; it has: fine, coarse"):
        spec_from_config(config, "odd")
    bare = config | {"spec": config["spec"] | {"tasks": {}}}
    assert spec_from_config(bare).num_classes == 0
    with pytest.raises(DataError, match="known has no labels"):
        spec_from_config(bare, "label")


def test_open_facts_come_from_the_store(config, tmp_path):
    with pytest.raises(ConfigError, match="mine: its facts are not all in the yaml"):
        spec_from_config(config, folder=tmp_path / "store")
    store = prepare(config, tmp_path / "store")
    assert spec_from_config(config, folder=tmp_path / "store") == store.spec()
    np.testing.assert_allclose(store.spec().mean, [100 / 255, 0, 100 / 255], atol=1e-6)
    with pytest.raises(ConfigError, match=r"spec\.shape"):
        spec_from_config(config | {"spec": SPEC | {"shape": [3, 9, 9]}}, folder=store.folder)


@pytest.mark.parametrize(
    "fact",
    [
        {"tasks": {"label": 3}},
        {"num_samples": 29},
        {"mean": [0.5, 0.0, 0.4]},
        {"std": [0.39]},
    ],
)
def test_recorded_facts_must_be_true(config, tmp_path, fact):
    with pytest.raises(ConfigError, match=f"the config says spec.{next(iter(fact))}"):
        prepare(config | {"spec": SPEC | fact}, tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "parser",
    ["os", "trivium.data.datasets.none", "trivium.data.datasets", "trivium.data.formats.svg", ""],
)
def test_only_modules_of_the_package_of_parsers_are_loaded(parser):
    known = "emoji, fashion_mnist, files, mnist, .*, synthetic"
    with pytest.raises(ConfigError, match=f"unknown parser.*{known}"):
        load_parser(parser)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licence": None}, "mine: missing licence"),
        ({"nmae": 1}, "mine: unknown nmae"),
        ({"path": "???"}, r"mine: please set data\.path"),
        ({"spec": SPEC | {"odd": 1}}, r"unknown spec\.odd"),
        ({"spec": 3}, "spec must be a mapping"),
        ({"sources": "npm"}, "sources must be a list"),
        ({"seed": object()}, "plain values"),
    ],
)
def test_a_wrong_config_is_one_clear_error(config, tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        prepare(config | change, tmp_path / "store")


def test_stores_of_unlabelled_folders(config, tmp_path):
    for file in (tmp_path / "mine").rglob("*.png"):
        file.rename(tmp_path / "mine" / f"{file.parent.name}-{file.name}")
    for kind in ("red", "blue"):
        (tmp_path / "mine" / kind).rmdir()
    store = prepare(config, tmp_path / "store")
    assert isinstance(store, Store)
    assert store.spec().num_classes == 0
    with pytest.raises(DataError, match="mine has no labels"):
        spec_from_config(config, "label", tmp_path / "store")
