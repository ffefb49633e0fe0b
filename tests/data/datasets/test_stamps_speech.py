"""Tiny folders of the layout of Tux Paint's stamps: tones instead of speech."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.datasets import stamps as parser
from trivium.data.datasets.stamps import categories, read_captions
from trivium.data.errors import ConfigError, DataError
from trivium.data.parsing import connected
from trivium.data.writer import Origin, write_store

from .tuxpaint import Stamps, tone

CONFIG = {
    "name": "stamps",
    "modality": "audio",
    "languages": ["fr"],
    "spectrogram": {"rate": 8000, "window": 256, "hop": 80, "bands": 16, "low": 60, "high": 3900},
    "spec": {"shape": [1, 20, 16]},
}


@pytest.fixture
def stamps(tmp_path):
    return Stamps(tmp_path / "data")


def fill(stamps, folder, num, **options):
    for number in range(num):
        stamps.add(f"{folder}/{number:02}", f"{folder} {number}", **options)


def parse(stamps, tmp_path, **change):
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return parser.parse(stamps.root, CONFIG | change, tmp_path / "scratch")


def test_the_task_is_the_top_folder_and_small_ones_are_other(stamps, tmp_path):
    fill(stamps, "animals/birds", 12)
    fill(stamps, "animals/fish", 10)
    fill(stamps, "town", 20)
    fill(stamps, "space", 19)
    fill(stamps, "food", 2)
    parsed = parse(stamps, tmp_path)
    assert parsed.tasks == {"category": ("animals", "town", "other")}
    # Ordered by path: animals, food, space, town.
    assert parsed.labels["category"].tolist() == [0] * 22 + [2] * 21 + [1] * 20
    assert (len(parsed.test), len(parsed.train)) == (4 + 4 + 4, 63 - 12)


def test_without_small_folders_there_is_no_other():
    ids, names = categories(["b"] * 20 + ["a"] * 25)
    assert (names, ids.tolist()) == (("a", "b"), [1] * 20 + [0] * 25)


def test_clips_are_decoded_in_the_order_of_their_paths(stamps, tmp_path):
    for number in (3, 1, 2):
        stamps.add(f"food/{number}", number=number)
    parsed = parse(stamps, tmp_path)
    for number, (first, last) in enumerate(
        zip(parsed.waves.offsets[:-1], parsed.waves.offsets[1:], strict=True), 1
    ):
        wave = parsed.waves.flat[first:last]
        assert len(wave) == 1200 + number
        peak = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 15)).argmax()
        assert peak * 8000 / (1 << 15) == pytest.approx(200 + 10 * number, abs=2)


def test_only_chosen_languages_are_read(stamps, tmp_path):
    fill(stamps, "food", 6, languages=("en", "fr", "es"))
    assert parse(stamps, tmp_path).num_samples == 6
    both = parse(stamps, tmp_path, languages=["en", "es"])
    assert both.num_samples == 12
    assert list(both.tasks) == ["category"]
    assert both.notes == ("12 descriptions (6 in en, 6 in es) in 6 groups.",)


def test_the_languages_of_a_picture_are_one_group(stamps, tmp_path):
    fill(stamps, "food", 6, languages=("en", "fr"))
    parsed = parse(stamps, tmp_path, languages=["fr", "en"])
    assert parsed.groups.tolist() == [n // 2 for n in range(12)]


def test_equal_captions_and_equal_bytes_are_one_group(stamps, tmp_path):
    stamps.add("a/0", "A duck.", fr="Un canard.")
    stamps.add("a/1", "A drake.", fr="un CANARD !")  # the same caption in French
    stamps.add("b/0", "a duck", fr="Une cane.")  # the same as a/0 in English
    stamps.add("c/0", "A hen.", fr="Une poule.", number=77)
    stamps.add("c/1", "A cock.", fr="Un coq.", number=77)  # the same recording
    stamps.add("d/0", "A goose.", fr="Une oie.", es="Un ganso.")
    stamps.add("d/1", "A gander.", fr="Un jars.", es="Un ganso.")  # a language that is not read
    stamps.add("e/0", number=99)  # no caption at all
    stamps.add("e/1", "", number=98)
    parsed = parse(stamps, tmp_path)
    assert parsed.groups.tolist() == [0, 0, 0, 1, 1, 2, 3, 4, 5]


def test_no_group_is_on_two_sides(stamps, tmp_path):
    fill(stamps, "food", 40, languages=("fr", "es"))
    for number in range(40):
        stamps.add(f"food/more/{number:02}", f"food {number // 2}", languages=("fr",))
    parsed = parse(stamps, tmp_path, languages=["fr", "es"])
    store = write_store(tmp_path / "store", "stamps", parsed, Origin("", "", "", ""))
    groups = store.groups()
    sides = [set(groups[store.split(s)].tolist()) for s in ("train", "validation", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    assert sum(store.meta.counts.values()) == 120


def test_mirror_images_and_other_sounds_are_passed_over(stamps, tmp_path):
    fill(stamps, "food", 5)
    stamps.add("food/pear_mirror")
    stamps.add("food/pear_flip")
    place = stamps.root / "usr" / "share" / "stamps" / "food"
    (place / "moo.ogg").write_bytes(tone(1))
    (place / "odd_desc_fr.ogg.ogg").write_bytes(tone(2))
    (place / "pear_desc_fr.wav").write_bytes(b"?")
    assert parse(stamps, tmp_path).num_samples == 5


def test_a_language_without_clips_is_named(stamps, tmp_path):
    fill(stamps, "food", 5, languages=("fr", "en"))
    with pytest.raises(DataError, match=r"no descriptions in de, it in .*; there are some in: en"):
        parse(stamps, tmp_path, languages=["de", "fr", "it"])
    with pytest.raises(DataError, match="there are some in: no language"):
        parser.parse(tmp_path / "scratch", CONFIG, tmp_path)


@pytest.mark.parametrize("languages", [None, [], "fr", [1], {"fr": 1}])
def test_languages_are_a_list_of_words(stamps, tmp_path, languages):
    fill(stamps, "food", 5)
    with pytest.raises(ConfigError, match=r"stamps: languages is .*; expected a list"):
        parse(stamps, tmp_path, languages=languages)


def test_a_broken_clip_is_an_error_or_left_out(stamps, tmp_path):
    fill(stamps, "food", 6)
    path = stamps.root / "usr" / "share" / "stamps" / "food" / "02_desc_fr.ogg"
    path.write_bytes(b"?")
    with pytest.raises(DataError, match=r"02_desc_fr\.ogg is no readable sound"):
        parse(stamps, tmp_path)
    with pytest.warns(UserWarning, match="1 sounds left out"):
        parsed = parse(stamps, tmp_path, on_error="skip")
    assert 2 not in [*parsed.train, *parsed.test]
    assert len(parsed.train) + len(parsed.test) == 5


def test_captions_are_compared_without_case_marks_and_spaces(tmp_path):
    (tmp_path / "x.txt").write_text("A  Duck!\nfr.utf8=Un canard.\nes.utf8=\nodd line\nde.utf8=E.")
    found = read_captions(tmp_path / "x", ("fr", "es", "en"))
    assert found == {("en", "aduck"), ("fr", "uncanard")}
    (tmp_path / "x.txt").write_bytes(b"\xff\n")
    assert read_captions(tmp_path / "x", ("fr",)) == set()
    (tmp_path / "x.txt").write_bytes(b"")
    assert read_captions(tmp_path / "x", ("fr",)) == set()


@given(st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=3), min_size=1, max_size=12))
def test_samples_are_connected_by_what_they_share(keys):
    merged = [set(of_row) for of_row in keys]
    for _ in keys:  # naively: spread keys among all that touch
        for one in merged:
            for other in merged:
                if one & other:
                    one |= other
                    other |= one
    groups = connected(keys)
    for row, of_row in enumerate(merged):
        for other, of_other in enumerate(merged):
            assert (groups[row] == groups[other]) == bool(of_row & of_other)
    assert sorted(set(groups.tolist())) == list(range(groups.max() + 1))
