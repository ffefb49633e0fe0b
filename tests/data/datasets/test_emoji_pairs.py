"""The tiny packages of the emoji's tests, with a list of keywords."""

import json
import re

import numpy as np
import pytest

from trivium.data.datasets import emoji
from trivium.data.datasets.emoji import caption, read_keywords
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.iconify import VENDORS
from trivium.data.prepare import spec_from_config
from trivium.data.writer import Origin, write_store

from .test_emoji import FOODS, NAMES, char_of, write, write_packages

CONFIG = {
    "name": "emoji_pairs",
    "modality": "image+text",
    "split": "concept",
    "tokenizer": {"kind": "bpe", "vocabulary": 300},
    "spec": {"tasks": None, "image": {"shape": [3, 8, 8]}, "text": {"shape": [16]}},
}
VENDOR = CONFIG | {"split": "vendor", "held_out": "openmoji"}
ALONE = {"name": "emoji", "spec": {"shape": [3, 8, 8]}}
KEYWORDS = {
    char_of(key): [name.replace("-", "_"), *(f"{name}_word_{n}" for n in range(6)), "tasty"]
    for key, name in FOODS.items()
} | {char_of("1f3c3"): ["person_running", "move"], char_of("1f3c3-200d-2642-fe0f"): []}
"""Of the flags there are none."""
NUM = len(VENDORS) * len(NAMES)
ORIGIN = Origin("", "", "", "")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "emojilib" / "package" / "dist", "emoji-en-US.json", KEYWORDS)
    return write_packages(tmp_path)


def parse(folder, config=CONFIG):
    return emoji.parse(folder, config, folder)


def captions(parsed):
    return parsed.parts["text"].texts


def by_emoji(parsed):
    """Captions [vendor][emoji]: every vendor of the packages draws every emoji, in order."""
    told = captions(parsed)
    return [told[first : first + len(NAMES)] for first in range(0, NUM, len(NAMES))]


@pytest.mark.parametrize("split", [{"split": "concept"}, {"split": "vendor", "held_out": "noto"}])
def test_pictures_and_splits_are_those_of_the_emoji_alone(folder, split):
    parsed = parse(folder, CONFIG | split)
    alone = emoji.parse(folder, ALONE | split, folder)
    pictures = parsed.parts["image"].columns["image"]
    np.testing.assert_array_equal(pictures, alone.columns["image"])
    np.testing.assert_array_equal(parsed.train, alone.train)
    np.testing.assert_array_equal(parsed.test, alone.test)
    np.testing.assert_array_equal(parsed.groups, alone.groups)
    assert parsed.notes == alone.notes
    assert parsed.tasks == {task: alone.tasks[task] for task in ("group", "subgroup")}
    assert parsed.labels.keys() == parsed.tasks.keys()
    for task, ids in parsed.labels.items():
        np.testing.assert_array_equal(ids, alone.labels[task])


def test_a_drawing_has_a_row_of_each_modality(folder):
    parsed = parse(folder)
    assert list(parsed.parts) == list(parsed.rows) == ["image", "text"]
    assert len(captions(parsed)) == len(parsed.parts["image"].columns["image"]) == NUM
    for rows in parsed.rows.values():
        assert rows.tolist() == list(range(NUM))
    assert parsed.parts["text"].tokenizer == ({"kind": "bpe", "vocabulary": 300}, 16)


def test_a_caption_is_the_name_and_half_of_the_keywords(folder):
    for of_vendor in by_emoji(parse(folder)):
        told = dict(zip(NAMES.values(), of_vendor, strict=True))
        for name in FOODS.values():
            words = [*(f"{name} word {n}" for n in range(6)), "tasty"]
            first, *chosen = told[name].split(", ")
            assert first == name
            assert len(chosen) == 4  # of seven: the keyword that is the name does not count
            assert chosen == [word for word in words if word in chosen]
        assert told["person-running"] == "person-running, move"


def test_without_keywords_a_caption_is_the_name_alone(folder):
    for of_vendor in by_emoji(parse(folder)):
        told = dict(zip(NAMES.values(), of_vendor, strict=True))
        for name in ("man-running", "flag-norway", "flag-bouvet-island"):
            assert told[name] == name


def test_vendors_tell_different_halves(folder):
    told = by_emoji(parse(folder))
    foods = [len({of_vendor[number] for of_vendor in told}) for number in range(4, len(NAMES))]
    assert np.mean(foods) > 5  # of 7; of a keyword's 35 halves two rarely agree
    words = [word for of_vendor in told for one in of_vendor[4:] for word in one.split(", ")[1:]]
    share = np.mean([word == "tasty" for word in words])
    assert share == pytest.approx(1 / 7, abs=0.05)


def test_the_same_packages_give_the_same_captions(folder):
    one = parse(folder)
    assert captions(one) == captions(parse(folder))
    assert captions(one) == captions(parse(folder, VENDOR))


def test_a_caption_does_not_depend_on_other_drawings(folder):
    whole = by_emoji(parse(folder))
    path = next((folder / "iconify-json-noto").rglob("icons.json"))
    icons = json.loads(path.read_text())
    for name in ("food-0", "food-7"):
        del icons["icons"][name]
    path.write_text(json.dumps(icons))
    fewer = parse(folder)
    gone = {list(NAMES.values()).index(name) for name in ("food-0", "food-7")}
    kept = [one for number, one in enumerate(whole[0]) if number not in gone]
    assert captions(fewer) == kept + [one for of_vendor in whole[1:] for one in of_vendor]


def test_no_concept_and_no_caption_is_on_two_sides(folder, tmp_path):
    parsed = parse(folder)
    store = write_store(tmp_path / "store", "emoji_pairs", parsed, ORIGIN)
    sides = [store.split(side) for side in ("train", "validation", "test")]
    concepts = [set(store.groups()[side].tolist()) for side in sides]
    assert all(concepts)
    assert sum(map(len, concepts)) == len(set.union(*concepts)) == len(FOODS) + 2
    told = [{captions(parsed)[row] for row in side} for side in sides]
    assert not told[0] & told[2]
    assert not told[1] & told[2]
    assert not told[0] & told[1]
    for part in ("image", "text"):
        for side, rows in zip(("train", "validation", "test"), sides, strict=True):
            np.testing.assert_array_equal(store.part(part).split(side), rows)
        np.testing.assert_array_equal(store.part(part).labels("group"), store.labels("group"))
    assert store.part("text").texts(sides[2]) == [captions(parsed)[row] for row in sides[2]]


def test_an_unseen_vendor_is_in_test_alone(folder, tmp_path):
    parsed = parse(folder, VENDOR)
    first = VENDORS.index("openmoji") * len(NAMES)
    assert parsed.groups is None
    assert parsed.test.tolist() == list(range(first, first + len(NAMES)))
    assert sorted([*parsed.train, *parsed.test]) == list(range(NUM))
    seen = {captions(parsed)[row].split(", ")[0] for row in parsed.train}
    assert {captions(parsed)[row].split(", ")[0] for row in parsed.test} == seen
    store = write_store(tmp_path / "store", "emoji_pairs_vendor", parsed, ORIGIN)
    assert store.meta.counts["test"] == len(NAMES)


@pytest.mark.parametrize(
    ("name", "keywords", "least", "others"),
    [
        ("dog", (), 0, set()),
        ("dog", ("dog",), 0, set()),
        ("dog", ("dog", "pet"), 1, {"pet"}),
        ("dog", ("pet", "pet", "dog", "pet"), 1, {"pet"}),
        ("flag Wales", ("flag wales", "nation"), 1, {"nation"}),
        ("upside-down face", ("upside down face", "silly", "Silly"), 1, {"silly"}),
        ("dog", ("a", "b", "c"), 2, {"a", "b", "c"}),
        ("dog", ("a", "b", "c", "d"), 2, {"a", "b", "c", "d"}),
    ],
)
def test_half_is_rounded_up_and_nothing_is_told_twice(name, keywords, least, others):
    for vendor in range(7):
        first, *chosen = caption(name, keywords, vendor).split(", ")
        assert first == name
        assert len(chosen) == len(set(chosen)) == least
        assert set(chosen) <= others


def test_every_half_is_chosen_as_often():
    words = ("a", "b", "c", "d")
    told = [caption(f"name {n}", words, n % 7).split(", ")[1:] for n in range(1200)]
    pairs, counts = np.unique(told, axis=0, return_counts=True)
    assert len(pairs) == 6
    assert np.abs(counts - 200).max() < 4 * np.sqrt(1200 * (1 / 6) * (5 / 6))


def test_keywords_are_found_whatever_the_presentation(tmp_path):
    listed = {"❤️": ["red_heart", "love"], "⭐": ["star"]}
    write(tmp_path / "dist", "emoji-en-US.json", listed)
    assert read_keywords(tmp_path) == {"2764": ("red heart", "love"), "2b50": ("star",)}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": [1], "b": null}'])
def test_an_unexpected_list_is_named(folder, text):
    path = next((folder / "emojilib").rglob("emoji-en-US.json"))
    path.write_text(text)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))} is no list of keywords"):
        parse(folder)


def test_a_missing_list_is_named(folder):
    (folder / "emojilib").rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"emojilib: expected a file emoji-en-US\.json"):
        parse(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "odd"}, "split is 'odd'; choose of concept, vendor"),
        ({"split": "vendor", "held_out": "apple"}, "held_out is 'apple'"),
        ({"spec": CONFIG["spec"] | {"image": {"shape": [1, 8, 8]}}}, r"must be \[3, size, size\]"),
        ({"spec": CONFIG["spec"] | {"text": {"shape": [3, 8, 8]}}}, r"expected \[length\]"),
        ({"modality": "image+audio"}, "has no part 'text'"),
    ],
)
def test_a_wrong_option_is_one_clear_error(folder, change, message):
    with pytest.raises(ConfigError, match=message):
        parse(folder, CONFIG | change)


@pytest.mark.parametrize(
    ("name", "alone"), [("emoji_pairs", "emoji"), ("emoji_pairs_vendor", "emoji_vendor")]
)
def test_the_configs_agree_with_those_of_the_emoji_alone(yaml_config, name, alone):
    config, other = yaml_config(name), yaml_config(alone)
    same = ("licence", "sources", "split", "held_out")
    assert {key: config.get(key) for key in same} == {key: other.get(key) for key in same}
    for task in ("group", "subgroup"):
        spec, expected = spec_from_config(config, task), spec_from_config(other, task)
        assert (spec.num_classes, spec.num_samples) == (expected.num_classes, expected.num_samples)
        assert spec.part("image") == expected._replace(name=name)
        assert spec.part("text").shape == (32,)
        assert spec.part("text").vocabulary == 4096
