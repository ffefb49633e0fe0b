"""Tiny packages of the layout of the real ones: coloured squares instead of drawings."""

import json

import numpy as np
import pytest

from trivium.data.datasets import emoji
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.iconify import VENDORS, concept
from trivium.data.writer import Origin, write_store

NUM = 20
RUNNERS = {"1f3c3": "person running", "1f3c3-200d-2642-fe0f": "man running"}
FLAGS = {"1f1f3-1f1f4": "flag-norway", "1f1e7-1f1fb": "flag-bouvet-island"}
FOODS = {f"{0x1F345 + i:x}": f"food-{i}" for i in range(NUM)}
NAMES = {**{key: name.replace(" ", "-") for key, name in RUNNERS.items()}, **FLAGS, **FOODS}
CONFIG = {"name": "emoji", "modality": "image", "spec": {"shape": [3, 8, 8]}, "split": "concept"}
WITHOUT_CHARS = ("noto-v1", "emojione", "emojione-v1")
VENDOR = CONFIG | {"split": "vendor", "held_out": "openmoji"}


def square(colour):
    return {"body": f'<rect x="1" y="1" width="4" height="4" fill="#{colour:06x}"/>'}


def group_of(name):
    return "People" if "running" in name else "Flags" if name.startswith("flag") else "Food"


def write(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def pack(folder, vendor, icons, chars, aliases=None):
    home = folder / f"iconify-json-{vendor}" / "package"
    write(home, "icons.json", {"icons": icons, "aliases": aliases or {}, "width": 6, "height": 6})
    write(home, "chars.json", chars)
    info = {"license": {"spdx": f"L-{vendor}", "url": "l"}, "author": {"name": "A", "url": "a"}}
    write(home, "info.json", info)


def char_of(key):
    return "".join(chr(int(number, 16)) for number in key.split("-"))


def write_packages(folder):
    """All packages but `emojilib`: seven vendors that draw every emoji."""
    listed = {char_of(key): {"name": name, "group": group_of(name)} for key, name in NAMES.items()}
    newer = {"\U0001faea": {"name": "newer", "group": "Food"}}
    write(folder / "unicode-emoji-json", "data-by-emoji.json", listed | newer)
    known = [{"char": char, "subgroup": v["group"].lower() + "-sub"} for char, v in listed.items()]
    write(folder / "emoji.json" / "package", "emoji.json", known)
    for number, vendor in enumerate(VENDORS):
        icons = {name: square(0x1111 * i + number) for i, name in enumerate(NAMES.values())}
        icons["flag-bouvet-island"] = icons["flag-norway"]
        chars = {key.replace("-fe0f", ""): name for key, name in NAMES.items()}
        icons["person-running-dark-skin-tone"] = square(5)
        chars["1f3c3-1f3ff"] = "person-running-dark-skin-tone"
        if vendor in WITHOUT_CHARS:
            icons["flag-for-norway"] = icons.pop("flag-norway")
            chars = {}
        pack(folder, vendor, icons, chars)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_packages(tmp_path)


def parse(folder, config=CONFIG):
    return emoji.parse(folder, config, folder)


def test_every_vendor_draws_every_emoji_without_skin_tones(folder):
    parsed = parse(folder)
    assert parsed.columns["image"].shape == (len(VENDORS) * len(NAMES), 3, 8, 8)
    assert parsed.tasks["group"] == ("People", "Flags", "Food")
    assert parsed.tasks["subgroup"] == ("people-sub", "flags-sub", "food-sub")
    np.testing.assert_array_equal(parsed.labels["vendor"], np.repeat(np.arange(7), len(NAMES)))
    np.testing.assert_array_equal(np.bincount(parsed.labels["group"]), [14, 14, 7 * NUM])
    colours = [0x1111 * i + v for v in range(7) for i in [0, 1, 2, 2, *range(4, len(NAMES))]]
    drawn = parsed.columns["image"][:, :, 4, 4].astype(int) @ [1 << 16, 1 << 8, 1]
    np.testing.assert_array_equal(drawn, colours)


def test_no_concept_is_on_two_sides(folder, tmp_path):
    store = write_store(tmp_path / "store", "emoji", parse(folder), Origin("", "", "", ""))
    sides = [set(store.groups()[store.split(s)].tolist()) for s in ("train", "validation", "test")]
    assert all(sides)
    assert len(sides[0] | sides[1] | sides[2]) == sum(map(len, sides)) == 2 + NUM
    assert len(store.split("test")) == 7 * round(0.2 * NUM)
    food = store.labels("group") == 2
    assert set(np.bincount(store.groups()[food]).tolist()) <= {0, 7}


def test_variants_and_equal_drawings_are_one_concept(folder):
    groups = parse(folder).groups.reshape(len(VENDORS), len(NAMES))
    assert (groups[:, 0] == groups[0, 1]).all()
    assert (groups[:, 2] == groups[0, 3]).all()
    assert len(np.unique(groups)) == 2 + NUM


def test_a_held_out_vendor_is_the_test_split(folder):
    parsed = parse(folder, VENDOR)
    assert parsed.groups is None
    openmoji = VENDORS.index("openmoji")
    assert (parsed.labels["vendor"][parsed.test] == openmoji).all()
    assert openmoji not in parsed.labels["vendor"][parsed.train]
    assert len(parsed.train) == 6 * len(parsed.test)


def test_the_same_packages_give_the_same_data(folder):
    one, other = parse(folder), parse(folder)
    np.testing.assert_array_equal(one.columns["image"], other.columns["image"])
    np.testing.assert_array_equal(one.test, other.test)


def test_a_drawing_that_fails_is_skipped_and_counted(folder):
    icons = {name: square(7 * i) for i, name in enumerate(NAMES.values())}
    icons["food-3"] = {"body": '<image href="/etc/passwd"/>'}
    icons["food-4"] = {"hidden": True, **square(9)}
    icons["food-5"] = {"body": "<g>"}
    pack(folder, "twemoji", icons, dict(NAMES))
    parsed = parse(folder)
    assert np.bincount(parsed.labels["vendor"])[2] == len(NAMES) - 3
    assert "2 drawings were refused: twemoji food-3: refused: element <image>" in parsed.notes[2]
    assert "1 emoji are left out" in parsed.notes[1]
    assert parsed.notes[3 + 2] == "twemoji: 21 drawings by A (a), licence L-twemoji (l)"


def test_aliases_are_followed_and_mirrored(folder):
    half = {"body": '<rect width="3" height="6"/>'}
    aliases = {
        "food-1": {"parent": "food-0", "hFlip": True},
        "food-2": {"parent": "food-0"},
        "food-3": {"parent": "food-3"},
    }
    pack(folder, "noto", {"food-0": half}, FOODS, aliases)
    parsed = parse(folder)
    left, right = parsed.columns["image"][:2, 0, 4]
    assert left.tolist() == [0] * 4 + [255] * 4
    assert right.tolist() == [255] * 4 + [0] * 4
    assert np.bincount(parsed.labels["vendor"])[0] == 2  # food-2 is food-0's drawing again


def test_a_flag_is_not_taken_for_a_bird(folder):
    pack(folder, "emojione", {"flag-for-food-1": square(1), "flag-for-norway": square(2)}, {})
    parsed = parse(folder)
    assert parsed.labels["group"][parsed.labels["vendor"] == 5].tolist() == [1]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("1f3c3-200d-2640-200d-27a1", "1f3c3"),
        ("1f469-200d-1f680", "1f9d1-1f680"),
        ("1f468-200d-1f469-200d-1f466-200d-1f466", "1f9d1-1f9d2"),
        ("1f475", "1f9d3"),
        ("2640", "2640"),
        ("1f1e8-1f1e6", "1f1e8-1f1e6"),
    ],
)
def test_gender_and_direction_do_not_make_a_concept(variant, expected):
    assert concept(variant) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "odd"}, "split is 'odd'; choose of concept, vendor"),
        ({"split": "vendor", "held_out": "apple"}, "held_out is 'apple'"),
        ({"spec": {"shape": [1, 8, 8]}}, r"spec.shape must be \[3, size, size\]"),
    ],
)
def test_a_wrong_option_is_one_clear_error(folder, change, message):
    with pytest.raises(ConfigError, match=message):
        parse(folder, CONFIG | change)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("unicode-emoji-json/data-by-emoji.json", "[]", "expected an object"),
        ("unicode-emoji-json/data-by-emoji.json", '{"a": 1}', "nothing could be drawn"),
        ("emoji.json/package/emoji.json", "{", "no lists of emoji"),
        ("iconify-json-noto/package/chars.json", '{"zz": "a"}', "no icon set"),
        ("iconify-json-noto/package/info.json", "{}", "no icon set"),
        ("iconify-json-noto/package/icons.json", "{", "no JSON file"),
    ],
)
def test_an_unexpected_file_is_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        parse(folder)


def test_a_missing_package_is_named(folder):
    (folder / "iconify-json-noto").rename(folder / "elsewhere")
    with pytest.raises(DataError, match="iconify-json-noto: expected a file"):
        parse(folder)
