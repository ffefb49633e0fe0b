import zipfile

import numpy as np
import pytest
import soundfile

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError
from trivium.data.prepare import prepare

RATE = 8000
CONFIG = {
    "name": "mine",
    "modality": "audio",
    "spectrogram": {"rate": RATE, "window": 256, "hop": 80, "bands": 16, "low": 60, "high": 3900},
    "spec": {"shape": [1, 20, 16]},
}


def wave(number, num=400):
    """A wave that tells its number by its height."""
    return np.full(num + number, 100 * (number + 1), np.int16)


def write(path, content, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, content, rate)


def classes(folder, num=10):
    for number in range(num):
        write(folder / "sea" / f"{number:02}.wav", wave(number))
        write(folder / "land" / "deep" / f"{number:02}.FLAC", wave(number + 50))


def parse(folder, tmp_path, **options):
    return files.parse(folder, CONFIG | options, tmp_path)


def heights(parsed):
    return parsed.waves.flat[parsed.waves.offsets[:-1]].tolist()


def test_class_folders_become_labels_and_a_fifth_test(tmp_path):
    classes(tmp_path / "data")
    parsed = parse(tmp_path / "data", tmp_path)
    assert parsed.tasks == {"label": ("land", "sea")}
    assert parsed.labels["label"].tolist() == [0] * 10 + [1] * 10
    numbers = [*range(50, 60), *range(10)]
    assert heights(parsed) == [100 * (n + 1) for n in numbers]
    assert np.diff(parsed.waves.offsets).tolist() == [400 + n for n in numbers]
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [2, 2])
    assert (len(parsed.train), len(np.intersect1d(parsed.train, parsed.test))) == (16, 0)


def test_another_share_may_be_test(tmp_path):
    classes(tmp_path / "data", 4)
    assert len(parse(tmp_path / "data", tmp_path, test_fraction=0.5).test) == 4


def test_given_splits_are_kept(tmp_path):
    classes(tmp_path / "data" / "train", 4)
    classes(tmp_path / "data" / "test", 3)
    parsed = parse(tmp_path / "data", tmp_path)
    assert (len(parsed.train), len(parsed.test)) == (8, 6)
    assert [heights(parsed)[i] for i in parsed.test[:3]] == [5100, 5200, 5300]


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_any_kind_rate_and_channels_become_one(tmp_path, kind):
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    for number in range(3):
        write(tmp_path / "data" / f"{number}.{kind}", np.stack([tone, tone], axis=1), 16000)
    parsed = parse(tmp_path / "data", tmp_path)
    assert (parsed.labels, parsed.tasks, len(parsed.test)) == ({}, {}, 1)
    assert np.diff(parsed.waves.offsets).tolist() == [8000] * 3
    expected = 0.4 * np.sin(2 * np.pi * 300 * np.arange(8000) / 8000)
    found = parsed.waves.flat[2000:6000] / 2**15
    assert np.corrcoef(found, expected[2000:6000])[0, 1] > 0.99
    np.testing.assert_allclose(found.std(), 0.4 / 2**0.5, rtol=0.05)


def test_a_broken_sound_is_an_error_or_in_no_split(tmp_path):
    classes(tmp_path / "data", 5)
    (tmp_path / "data" / "sea" / "02.wav").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"sea/02\.wav is no readable sound.*on_error: skip"):
        parse(tmp_path / "data", tmp_path)
    with pytest.warns(UserWarning, match=r"1 sounds left out; the first: .*sea/02\.wav"):
        parsed = parse(tmp_path / "data", tmp_path, on_error="skip")
    assert sorted([*parsed.train, *parsed.test]) == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_wrong_layouts_and_options_are_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"no sounds in .*; known kinds are: \.flac \.mp3 \.oga"):
        parse(tmp_path, tmp_path)
    classes(tmp_path / "a", 2)
    write(tmp_path / "a" / "stray.ogg", np.zeros(9))
    with pytest.raises(DataError, match=r"stray\.ogg lies outside"):
        parse(tmp_path / "a", tmp_path)
    with pytest.raises(ConfigError, match="on_error is 'ignore'; choose of raise, skip"):
        parse(tmp_path / "a", tmp_path, on_error="ignore")
    with pytest.raises(ConfigError, match=r"expected \[1, frames, 16\]"):
        parse(tmp_path / "a", tmp_path, spec={"shape": [64]})


def test_a_folder_or_archive_becomes_a_store(tmp_path, yaml_config):
    classes(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    stores = []
    for name in ("data", "sounds.zip"):
        source = {"kind": "folder", "path": str(tmp_path / name)}
        config = yaml_config("audiofolder") | {"sources": [source]}
        stores.append(prepare(config, tmp_path / "stores" / name))
    for store in stores:
        assert store.meta.counts == {"train": 14, "validation": 2, "test": 4}
        assert (store.spec().modality, store.spec().shape) == ("audio", (1, 500, 64))
    np.testing.assert_array_equal(stores[0].column("wave"), stores[1].column("wave"))
    # 400 samples at 8 kHz are 800 at the yaml's 16 kHz.
    assert stores[0].lengths("wave").min() == 800
