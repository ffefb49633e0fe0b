import codecs
import zipfile

import numpy as np
import pytest

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.tables import read_text

CONFIG = {
    "name": "mine",
    "modality": "text",
    "tokenizer": {"kind": "byte"},
    "spec": {"shape": [64]},
}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def classes(folder, num=10):
    for number in range(num):
        write(folder / "sea" / f"{number:02}.txt", f"sea {number}\n")
        write(folder / "land" / "deep" / f"{number:02}.md", f"land {number}\n")


def parse(folder, tmp_path, **options):
    return files.parse(folder, CONFIG | options, tmp_path)


def test_class_folders_become_labels_and_a_fifth_test(tmp_path):
    classes(tmp_path / "data")
    parsed = parse(tmp_path / "data", tmp_path)
    assert parsed.tasks == {"label": ("land", "sea")}
    told = [text.split()[0] for text in parsed.texts]
    assert told == [parsed.tasks["label"][label] for label in parsed.labels["label"]]
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [2, 2])
    assert (len(parsed.train), len(np.intersect1d(parsed.train, parsed.test))) == (16, 0)


def test_texts_lie_in_the_order_of_their_paths(tmp_path):
    classes(tmp_path / "data", 3)
    expected = [f"{kind} {number}\n" for kind in ("land", "sea") for number in range(3)]
    assert parse(tmp_path / "data", tmp_path).texts == expected


def test_another_share_may_be_test(tmp_path):
    classes(tmp_path / "data")
    assert len(parse(tmp_path / "data", tmp_path, test_fraction=0.5).test) == 10
    for share in (0, 1, -0.5):
        with pytest.raises(DataError, match=f"mine: test_fraction is {share}; expected it in"):
            parse(tmp_path / "data", tmp_path, test_fraction=share)


def test_given_splits_are_kept(tmp_path):
    classes(tmp_path / "data" / "train", 4)
    classes(tmp_path / "data" / "test", 3)
    parsed = parse(tmp_path / "data", tmp_path)
    assert (len(parsed.train), len(parsed.test)) == (8, 6)
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [3, 3])
    assert [parsed.texts[i] for i in parsed.test[:3]] == ["land 0\n", "land 1\n", "land 2\n"]


def test_splits_without_classes_are_kept_too(tmp_path):
    for split, num in (("train", 3), ("test", 2)):
        for number in range(num):
            write(tmp_path / "data" / split / f"{number}.txt", f"{split} {number}")
    parsed = parse(tmp_path / "data", tmp_path)
    assert (parsed.labels, parsed.tasks) == ({}, {})
    assert [parsed.texts[i] for i in parsed.test] == ["test 0", "test 1"]


def test_a_folder_around_everything_is_stepped_into(tmp_path):
    classes(tmp_path / "data" / "letters-1.0")
    assert parse(tmp_path / "data", tmp_path).tasks == {"label": ("land", "sea")}


def test_texts_without_class_folders_have_no_labels(tmp_path):
    for number in range(5):
        write(tmp_path / "data" / f"{number}.txt", f"letter {number}")
    parsed = parse(tmp_path / "data", tmp_path)
    assert (parsed.labels, parsed.tasks, len(parsed.test)) == ({}, {}, 1)


def test_other_and_hidden_files_are_passed_over(tmp_path):
    classes(tmp_path / "data", 2)
    write(tmp_path / "data" / "sea" / "table.csv", "no text")
    write(tmp_path / "data" / "sea" / ".hidden.txt", b"\xff")
    write(tmp_path / "data" / ".git" / "note.txt", b"\xff")
    write(tmp_path / "data" / "sea" / "LOUD.TXT", "sea LOUD")
    parsed = parse(tmp_path / "data", tmp_path)
    assert len(parsed.texts) == 5
    assert "sea LOUD" in parsed.texts


def test_a_text_that_is_not_utf_8_is_named(tmp_path):
    classes(tmp_path / "data", 2)
    write(tmp_path / "data" / "sea" / "05.txt", "Où est la mer ?".encode("latin-1"))
    with pytest.raises(DataError, match=r"sea/05\.txt is not UTF-8 \(.*\): convert it"):
        parse(tmp_path / "data", tmp_path)


@pytest.mark.parametrize("text", [b"", b" \n\t\r\n", codecs.BOM_UTF8])
def test_an_empty_text_is_named(tmp_path, text):
    classes(tmp_path / "data", 2)
    write(tmp_path / "data" / "sea" / "05.txt", text)
    with pytest.raises(DataError, match=r"sea/05\.txt holds no text: remove it"):
        parse(tmp_path / "data", tmp_path)


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    write(tmp_path / "a.txt", codecs.BOM_UTF8 + "é鯨".encode())
    write(tmp_path / "b.txt", "a\ufeffb".encode())
    assert read_text(tmp_path / "a.txt") == "é鯨"
    assert read_text(tmp_path / "b.txt") == "a\ufeffb"


def test_all_line_ends_become_one_line_break(tmp_path):
    write(tmp_path / "a.txt", b"one\r\ntwo\rthree\nfour\n\n")
    assert read_text(tmp_path / "a.txt") == "one\ntwo\nthree\nfour\n\n"


def test_wrong_layouts_are_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"no texts in .*; known kinds are: \.md \.text \.txt"):
        parse(tmp_path, tmp_path)
    classes(tmp_path / "a")
    write(tmp_path / "a" / "stray.txt", "stray")
    with pytest.raises(DataError, match=r"stray\.txt lies outside"):
        parse(tmp_path / "a", tmp_path)
    classes(tmp_path / "b" / "train")
    write(tmp_path / "b" / "keep.txt", "keep")
    with pytest.raises(DataError, match="no folder test"):
        parse(tmp_path / "b", tmp_path)
    write(tmp_path / "b" / "test" / "sea" / "x.txt", "x")
    with pytest.raises(DataError, match="differ in classes: land"):
        parse(tmp_path / "b", tmp_path)


@pytest.mark.parametrize("shape", [None, [3, 8, 8], ["many"], 64])
def test_a_shape_is_a_length(tmp_path, shape):
    classes(tmp_path / "data", 2)
    with pytest.raises(ConfigError, match=r"mine: spec\.shape is .*; expected \[length\]"):
        parse(tmp_path / "data", tmp_path, spec={"shape": shape})


def test_texts_of_three_tokens_are_too_short(tmp_path):
    classes(tmp_path / "data", 2)
    with pytest.raises(ConfigError, match="mine: texts of 3 tokens are too short"):
        parse(tmp_path / "data", tmp_path, spec={"shape": [3]})


def test_a_folder_becomes_a_store(tmp_path, prepared):
    classes(tmp_path / "data")
    store = prepared("textfolder", tmp_path / "data")
    assert store.meta.tasks == {"label": ("land", "sea")}
    assert store.meta.counts == {"train": 14, "validation": 2, "test": 4}
    assert store.texts(np.array([0, 19])) == ["land 0\n", "sea 9\n"]


def test_an_archive_becomes_the_same_store(tmp_path, prepared):
    classes(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "letters.zip", "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    stores = [prepared("textfolder", tmp_path / name) for name in ("data", "letters.zip")]
    assert stores[1].meta.tasks == {"label": ("land", "sea")}
    assert stores[1].texts(np.arange(20)) == stores[0].texts(np.arange(20))
