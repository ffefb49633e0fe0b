"""Tiny stamps: pictures of one colour, captions and tones."""

import numpy as np
import pytest
from PIL import Image

from trivium.data.batches import gather
from trivium.data.datasets import stamps as parser
from trivium.data.errors import ConfigError, DataError
from trivium.data.writer import Origin, write_store

from .tuxpaint import Stamps

CONFIG = {
    "name": "stamps",
    "modality": "image+text+audio",
    "languages": ["fr", "es"],
    "tokenizer": {"kind": "bpe", "vocabulary": 300},
    "spectrogram": {"rate": 8000, "window": 256, "hop": 80, "bands": 16, "low": 60, "high": 3900},
    "spec": {
        "tasks": None,
        "image": {"shape": [3, 8, 8]},
        "text": {"shape": [16]},
        "audio": {"shape": [1, 20, 16]},
    },
}


class Pictures(Stamps):
    """Stamps with a picture each."""

    def picture(self, place, colour, caption, languages=("fr", "es"), number=None, **captions):
        told = {one: f"{caption} {one}" for one in languages} | captions
        self.add(place, caption, languages, number, **told)
        path = self.root / "usr" / "share" / "stamps" / f"{place}.png"
        Image.new("RGB", (8, 8), (colour, colour // 256, 7)).save(path)
        return path


@pytest.fixture
def stamps(tmp_path):
    return Pictures(tmp_path / "data")


def fill(stamps, folder, num, first=0, **options):
    for number in range(first, first + num):
        stamps.picture(f"{folder}/{number:02}", number, f"{folder} {number}", **options)


def parse(stamps, tmp_path, **change):
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return parser.parse(stamps.root, CONFIG | change, tmp_path / "scratch")


def colours(parsed):
    return parsed.parts["image"].columns["image"][:, 0, 0, 0]


def test_a_sample_is_a_stamp_in_a_language(stamps, tmp_path):
    fill(stamps, "food", 5)
    parsed = parse(stamps, tmp_path)
    assert parsed.num_samples == 10
    assert (parsed.stratum_names, parsed.strata.tolist()) == (("fr", "es"), [1, 0] * 5)
    assert parsed.rows["image"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert colours(parsed).tolist() == list(range(5))
    told = [parsed.parts["text"].texts[row] for row in parsed.rows["text"]]
    assert told == [f"food {n // 2} {'es' if n % 2 == 0 else 'fr'}" for n in range(10)]
    # `add` counts up its tones, French first; the length of each is 1200 and its number.
    lengths = np.diff(parsed.parts["audio"].waves.offsets)[parsed.rows["audio"]]
    assert lengths.tolist() == [1200 + n for n in (2, 1, 4, 3, 6, 5, 8, 7, 10, 9)]
    assert parsed.groups.tolist() == [n // 2 for n in range(10)]
    assert parsed.notes[0].startswith("10 stamps in a language (5 in fr, 5 in es) in 5 groups; 0 ")


def test_only_whole_stamps_are_read(stamps, tmp_path):
    fill(stamps, "food", 5, languages=("fr",))
    stamps.add("food/no_picture", "a", fr="b")
    stamps.picture("food/no_caption", 50, "c", fr=" ")
    stamps.picture("food/other_language", 51, "d", languages=("de",))
    stamps.picture("food/pear_mirror", 52, "e")
    stamps.picture("food/no_file", 53, "e").with_suffix(".txt").unlink()
    stamps.picture("food/no_clip", 54, "f", languages=())
    parsed = parse(stamps, tmp_path)
    # Of food/no_caption the Spanish one is whole.
    assert parsed.num_samples == 6
    assert sorted(colours(parsed).tolist()) == [0, 1, 2, 3, 4, 50]
    assert parsed.notes[0].endswith("; 4 descriptions have no picture or caption.")


def test_equal_things_are_one_row_and_one_group(stamps, tmp_path):
    stamps.picture("a/0", 1, "duck", fr="Un  canard.", number=1)
    stamps.picture("a/1", 1, "drake", number=2)  # the same picture
    stamps.picture("a/2", 2, "bird", fr="Un canard.")  # the same caption
    stamps.picture("a/3", 3, "hen", number=2)  # the same recordings
    stamps.picture("a/4", 4, "cock")
    stamps.picture("b/0", 5, "goose")
    stamps.picture("b/1", 6, "gander", es="goose es")
    parsed = parse(stamps, tmp_path, languages=["fr"])
    assert parsed.rows["image"].tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert parsed.rows["text"].tolist() == [0, 1, 0, 2, 3, 4, 5]
    assert parsed.rows["audio"].tolist() == [0, 1, 2, 1, 3, 4, 5]
    assert parsed.groups.tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert parse(stamps, tmp_path).groups.tolist() == [*[0] * 8, 1, 1, *[2] * 4]


def test_categories_are_counted_by_picture(stamps, tmp_path):
    fill(stamps, "animals", 20)
    fill(stamps, "food", 19, first=20)
    parsed = parse(stamps, tmp_path)
    assert parsed.tasks == {"category": ("animals", "other")}
    assert parsed.labels["category"].tolist() == [0] * 40 + [1] * 38
    # A fifth of the groups of each category, in both languages.
    assert np.bincount(parsed.labels["category"][parsed.test]).tolist() == [8, 8]


def test_equal_captions_of_two_categories_are_two_rows_of_one_group(stamps, tmp_path):
    fill(stamps, "a", 20)
    fill(stamps, "b", 20, first=20)
    stamps.picture("a/x", 60, "Star.")
    stamps.picture("b/x", 61, "Star.")
    parsed = parse(stamps, tmp_path)
    store = write_store(tmp_path / "store", "stamps", parsed, Origin("", "", "", ""))
    assert len(parsed.parts["text"].texts) == 84
    assert len(np.unique(parsed.groups)) == 41
    for one, part in store.parts.items():
        rows = store.rows(one)
        np.testing.assert_array_equal(part.labels()[rows], store.labels())
        for split in ("train", "validation", "test"):
            expected = np.unique(rows[store.split(split)])
            np.testing.assert_array_equal(part.split(split), expected)


@pytest.mark.parametrize("modality", ["image+text", "image+audio", "text+audio"])
def test_fewer_media_have_the_same_samples_and_splits(stamps, tmp_path, modality):
    fill(stamps, "food", 12)
    whole = parse(stamps, tmp_path)
    names = modality.split("+")
    spec = {key: value for key, value in CONFIG["spec"].items() if key in ("tasks", *names)}
    fewer = parse(stamps, tmp_path, modality=modality, media=names, spec=spec)
    assert list(fewer.parts) == list(fewer.rows) == names
    for field in ("train", "test", "groups", "strata"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(fewer, field))
    for one in names:
        np.testing.assert_array_equal(whole.rows[one], fewer.rows[one])


@pytest.mark.parametrize("media", [["image", "text"], "image", [], {"image": "x"}])
def test_media_are_those_of_the_modality(stamps, tmp_path, media):
    with pytest.raises(ConfigError, match=r"media is .*, but modality is image\+text\+audio"):
        parse(stamps, tmp_path, media=media)


def test_pictures_lie_whole_on_white(stamps, tmp_path):
    fill(stamps, "food", 4, languages=("fr",))
    path = stamps.picture("food/04", 9, "wide", languages=("fr",))
    wide = Image.new("RGBA", (16, 8), (0, 0, 0, 0))
    wide.paste((255, 0, 0, 255), (0, 0, 8, 8))
    wide.save(path)
    drawing = path.with_name("05.svg")
    stamps.add("food/05", "round", fr="rond")
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4">'
    drawing.write_text(f'{head}<rect width="4" height="2"/></svg>')
    images = parse(stamps, tmp_path, languages=["fr"]).parts["image"].columns["image"]
    red = (images[4, 1] < 128).tolist()
    assert red == [[False] * 8] * 2 + [[True] * 4 + [False] * 4] * 4 + [[False] * 8] * 2
    assert (images[5] < 128).all(axis=0).tolist() == [[True] * 8] * 4 + [[False] * 8] * 4


def test_it_becomes_a_store_with_strata(stamps, tmp_path):
    fill(stamps, "food", 30)
    parsed = parse(stamps, tmp_path)
    store = write_store(tmp_path / "store", "stamps", parsed, Origin("", "", "", ""))
    assert store.meta.modality == "image+text+audio"
    assert store.meta.strata == ("fr", "es")
    batch = gather(store, store.split("test")[:4])
    assert {one: len(values) for one, values in batch.inputs.items()} == dict.fromkeys(
        ("image", "text", "audio"), 4
    )
    sides = [set(parsed.groups[store.split(s)]) for s in ("train", "validation", "test")]
    assert [len(side) for side in sides] == [22, 2, 6]
    assert not sides[0] & sides[2]


def test_something_broken_is_an_error_or_left_out(stamps, tmp_path):
    fill(stamps, "food", 8, languages=("fr",))
    place = stamps.root / "usr" / "share" / "stamps" / "food"
    (place / "02.png").write_bytes(b"?")
    with pytest.raises(DataError, match=r"02\.png is no readable picture"):
        parse(stamps, tmp_path, languages=["fr"])
    (place / "05_desc_fr.ogg").write_bytes(b"?")
    with pytest.warns(UserWarning, match="1 (pictures|sounds) left out"):
        parsed = parse(stamps, tmp_path, languages=["fr"], on_error="skip")
    assert sorted([*parsed.train, *parsed.test]) == [0, 1, 3, 4, 6, 7]


def test_pictures_are_squares_of_colour(stamps, tmp_path):
    fill(stamps, "food", 5)
    spec = CONFIG["spec"] | {"image": {"shape": [1, 8, 8]}}
    with pytest.raises(ConfigError, match=r"spec\.image\.shape must be \[3, size, size\]"):
        parse(stamps, tmp_path, spec=spec)


def test_without_whole_stamps_there_is_an_error(stamps, tmp_path):
    stamps.add("food/x", "a", fr="b")
    with pytest.raises(DataError, match=r"no description in .* has a picture and a caption"):
        parse(stamps, tmp_path, languages=["fr"])
