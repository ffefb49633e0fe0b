import json
import shutil

import numpy as np
import pytest

from trivium.data.errors import DataError, StoreError
from trivium.data.store import Store
from trivium.data.writer import write_store

from .conftest import ORIGIN, tiny_parsed


def test_what_was_written_is_read_back(store):
    parsed = tiny_parsed()
    np.testing.assert_array_equal(store.column("image"), parsed.columns["image"])
    np.testing.assert_array_equal(store.labels("parity"), parsed.labels["parity"])
    assert isinstance(store.column("image"), np.memmap)
    assert not store.column("image").flags.writeable
    assert store.meta.tasks == parsed.tasks
    assert store.meta.counts == {"train": 54, "validation": 6, "test": 20}
    assert store.meta.notes == ("note",)


def test_splits_are_disjoint_and_stratified(store):
    parts = [store.split(name) for name in ("train", "validation", "test")]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(80))
    np.testing.assert_array_equal(np.bincount(store.labels("kind")[parts[1]]), [2, 2, 2])
    np.testing.assert_array_equal(parts[2], np.arange(60, 80))


def test_groups_are_whole_and_kept(tmp_path):
    groups = np.arange(80) // 4
    store = write_store(tmp_path / "g", "tiny", tiny_parsed()._replace(groups=groups), ORIGIN)
    np.testing.assert_array_equal(store.groups(), groups)
    parts = [store.split(name) for name in ("train", "validation", "test")]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(80))
    assert sum(len(np.unique(groups[part])) for part in parts) == 20
    assert "groups.int64.npy" in store.meta.files


def test_without_groups_nothing_of_them_is_stored(store):
    assert store.groups() is None
    assert "groups" not in (store.folder / "meta.json").read_text()
    assert not list(store.folder.glob("groups*"))


def test_statistics_are_those_of_train_alone(store):
    train = np.asarray(store.column("image"))[store.split("train")] / 255
    np.testing.assert_allclose(store.spec().mean, train.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(store.spec().std, train.std((0, 2, 3)), atol=1e-6)


def test_spec_names_classes_of_the_task(store):
    spec = store.spec("parity")
    assert (spec.num_classes, spec.num_samples, spec.shape) == (2, 54, (2, 4, 5))
    assert store.spec().num_classes == store.spec("label").num_classes == 3
    assert (spec.name, spec.modality) == ("tiny", "image")


def test_label_means_the_main_task(store):
    np.testing.assert_array_equal(store.labels(), store.labels("kind"))
    with pytest.raises(DataError, match="no task 'colour'; it has: kind, parity"):
        store.labels("colour")


def test_labels_of_an_unlabelled_dataset_are_one_clear_error(tmp_path):
    store = write_store(tmp_path / "bare", "bare", tiny_parsed(labelled=False), ORIGIN)
    assert store.spec().num_classes == 0
    assert store.meta.counts["validation"] == 6
    for asked in (lambda: store.labels(), lambda: store.spec("label")):
        with pytest.raises(DataError, match="bare has no labels"):
            asked()


def test_fractions_follow_the_splits(store):
    train, validation = store.fraction(0.1, 0)
    assert np.isin(train, store.split("train")).all()
    assert np.isin(validation, store.split("validation")).all()
    for part in (train, validation):
        assert set(store.labels()[part]) == {0, 1, 2}
    whole = store.fraction(1.0, 0)
    np.testing.assert_array_equal(whole[0], store.split("train"))
    np.testing.assert_array_equal(whole[1], store.split("validation"))


def test_the_same_input_gives_the_same_bytes(store, tmp_path):
    again = write_store(tmp_path / "again", "tiny", tiny_parsed(), ORIGIN)
    for file in store.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes()
    assert store.fingerprint == again.fingerprint


def test_other_data_give_another_fingerprint(store, tmp_path):
    parsed = tiny_parsed()
    parsed.columns["image"][3] ^= 1
    other = write_store(tmp_path / "other", "tiny", parsed, ORIGIN)
    assert store.fingerprint != other.fingerprint


def test_an_altered_column_is_named(store):
    path = store.folder / "image.uint8.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    Store.open(store.folder)
    with pytest.raises(StoreError, match=r"image\.uint8\.npy was altered"):
        Store.open(store.folder, verify=True)


@pytest.mark.parametrize("file", ["image.uint8.npy", "labels.kind.npy", "split.train.npy"])
def test_a_cut_or_missing_column_is_named_without_hashing(store, file):
    path = store.folder / file
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match=f"{file} has .* bytes instead of"):
        Store.open(store.folder)
    path.unlink()
    with pytest.raises(StoreError, match=f"{file} is missing"):
        Store.open(store.folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 99}', '{"format": 1, "shape": 3}'])
def test_a_broken_description_is_one_clear_error(store, text):
    (store.folder / "meta.json").write_text(text)
    with pytest.raises(StoreError, match="prepare the dataset again"):
        Store.open(store.folder)


def test_no_store_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="prepare the dataset first"):
        Store.open(tmp_path)


def test_pickles_are_never_loaded(store):
    path = store.folder / "labels.kind.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    meta = json.loads((store.folder / "meta.json").read_text())
    meta["files"]["labels.kind.npy"]["bytes"] = path.stat().st_size
    (store.folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match=r"labels\.kind\.npy cannot be read"):
        Store.open(store.folder).labels("kind")


def test_a_failed_write_leaves_the_old_store_alone(store):
    before = store.fingerprint

    def refuse(meta):
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        write_store(store.folder, "tiny", tiny_parsed(), ORIGIN, refuse)
    assert Store.open(store.folder, verify=True).fingerprint == before
    assert [path.name for path in store.folder.parent.iterdir()] == ["tiny"]


def test_an_open_store_survives_its_replacement(store):
    first = np.array(store.column("image")[0])
    write_store(store.folder, "tiny", tiny_parsed(30, 10), ORIGIN)
    np.testing.assert_array_equal(store.column("image")[0], first)
    assert Store.open(store.folder).num_samples == 40


def test_a_store_may_be_moved(store, tmp_path):
    moved = shutil.move(store.folder, tmp_path / "elsewhere")
    assert Store.open(moved, verify=True).fingerprint == store.fingerprint


def test_unknown_columns_and_splits_are_named(store):
    with pytest.raises(DataError, match="no column 'sound'; it has: image"):
        store.column("sound")
    with pytest.raises(DataError, match="no split 'dev'"):
        store.split("dev")
