import codecs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.datasets import files
from trivium.data.datasets.files import passages
from trivium.data.errors import DataError

CONFIG = {
    "name": "novels",
    "modality": "text",
    "passage": 30,
    "tokenizer": {"kind": "byte"},
    "spec": {"shape": [64]},
}

ends = st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\x0c"])
lines = st.text("ab é鯨", max_size=12)  # some are blank
full_lines = st.text("abé鯨", min_size=1, max_size=12)
sizes = st.integers(1, 40)


def joined(lines):
    return st.lists(st.tuples(lines, ends), max_size=12).map(lambda p: "".join(map("".join, p)))


@given(joined(full_lines), full_lines, sizes)
def test_passages_together_are_the_text(text, last, size):
    assert "".join(passages(text + last, size)) == text + last


@given(joined(lines), sizes)
def test_only_blanks_are_lost(text, size):
    at = 0
    for passage in passages(text, size):
        start = text.index(passage, at)
        assert not text[at:start].strip()
        at = start + len(passage)
    assert not text[at:].strip()


@given(joined(lines), sizes)
def test_no_passage_is_blank(text, size):
    assert all(passage.strip() for passage in passages(text, size))


@given(joined(full_lines), sizes)
def test_all_passages_but_the_last_are_long_enough_and_no_longer_than_the_line_asks(text, size):
    *most, last = list(passages(text, size)) or [""]
    for passage in most:
        assert len(passage) >= size
        assert len("".join(passage.splitlines(keepends=True)[:-1])) < size
    assert len("".join(last.splitlines(keepends=True)[:-1])) < size


@given(joined(lines), sizes)
def test_passages_end_at_the_end_of_a_line(text, size):
    *most, _ = list(passages(text, size)) or [""]
    for passage in most:
        assert len((passage + "x").splitlines()) > len(passage.splitlines())


def test_a_small_text_is_one_passage():
    assert list(passages("no line break", 2000)) == ["no line break"]
    assert list(passages("", 2000)) == list(passages("\n \n", 2000)) == []


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def novel(name, num):
    """Lines of 30 characters, so that each is a passage."""
    return "".join(f"{name} {number:03} ".ljust(29, ".") + "\n" for number in range(num))


def parse(folder, **change):
    return files.parse(folder, CONFIG | change, folder)


def test_files_are_read_in_the_order_of_their_paths(tmp_path):
    for name in ("b/1.txt", "a.md", "b/0.text", "c.TXT"):
        write(tmp_path / name, novel(name, 4))
    write(tmp_path / "table.csv", "no,text")
    parsed = parse(tmp_path)
    assert [text.split()[0] for text in parsed.texts[::4]] == [
        "a.md",
        "b/0.text",
        "b/1.txt",
        "c.TXT",
    ]
    assert "".join(parsed.texts) == "".join(novel(n, 4) for n in ("a.md", "b/0.text", "b/1.txt",
                                                                 "c.TXT"))  # fmt: skip


def test_there_are_no_labels(tmp_path):
    write(tmp_path / "a.txt", novel("a", 20))
    parsed = parse(tmp_path)
    assert (parsed.labels, parsed.tasks, parsed.groups) == ({}, {}, None)


@pytest.mark.parametrize(("share", "num"), [(0.1, 2), (0.25, 5), (0.001, 1)])
def test_test_is_the_last_passages(tmp_path, share, num):
    write(tmp_path / "a.txt", novel("a", 12))
    write(tmp_path / "b.txt", novel("b", 8))
    parsed = parse(tmp_path, test_fraction=share)
    assert parsed.train.tolist() == list(range(20 - num))
    assert parsed.test.tolist() == list(range(20 - num, 20))
    assert parsed.texts[-1].startswith("b 007")


def test_no_passage_spans_two_files(tmp_path):
    for name in "abcdefghij":
        write(tmp_path / f"{name}.txt", f"short {name}")
    assert parse(tmp_path).texts == [f"short {name}" for name in "abcdefghij"]


def test_files_are_chosen_by_a_pattern(tmp_path):
    write(tmp_path / "books" / "a.rst", novel("a", 10))
    write(tmp_path / "books" / "b.txt", novel("b", 10))
    assert {text[0] for text in parse(tmp_path).texts} == {"b"}
    assert {text[0] for text in parse(tmp_path, files="*.rst").texts} == {"a"}
    assert {text[0] for text in parse(tmp_path, files="books/*").texts} == {"a", "b"}


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    write(tmp_path / "a.txt", codecs.BOM_UTF8 + novel("a", 10).encode())
    assert parse(tmp_path).texts[0].startswith("a 000")


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    write(tmp_path / "a.txt", novel("a", 10))
    write(tmp_path / "b.txt", "Où".encode("latin-1"))
    with pytest.raises(DataError, match=r"b\.txt is not UTF-8 \(.*\): convert it"):
        parse(tmp_path)


def test_an_empty_file_is_named(tmp_path):
    write(tmp_path / "a.txt", novel("a", 10))
    write(tmp_path / "b.txt", " \n")
    with pytest.raises(DataError, match=r"b\.txt holds no text: remove it"):
        parse(tmp_path)


def test_no_files_say_what_was_looked_for(tmp_path):
    write(tmp_path / "a.csv", "a")
    with pytest.raises(
        DataError, match=r"novels: no text files in .*; looked for \.md \.text \.txt"
    ):
        parse(tmp_path)
    with pytest.raises(DataError, match=r"looked for \*\.rst"):
        parse(tmp_path, files="*.rst")


def test_fewer_than_ten_passages_are_too_few(tmp_path):
    write(tmp_path / "a.txt", novel("a", 9))
    with pytest.raises(DataError, match="novels: 9 passages of 30 characters are too few"):
        parse(tmp_path)
    write(tmp_path / "a.txt", novel("a", 10))
    assert len(parse(tmp_path).texts) == 10


@pytest.mark.parametrize(
    "change", [{"passage": 0}, {"test_fraction": 0}, {"test_fraction": 1.0}, {"passage": -5}]
)
def test_wrong_numbers_are_one_clear_error(tmp_path, change):
    write(tmp_path / "a.txt", novel("a", 20))
    with pytest.raises(DataError, match=r"novels: passage is .* and test_fraction .*; expected"):
        parse(tmp_path, **change)


def test_a_file_becomes_a_store(tmp_path, prepared):
    write(tmp_path / "novel.txt", novel("a", 40))
    store = prepared("corpus", tmp_path / "novel.txt", passage=30)
    assert store.meta.tasks == {}
    assert store.meta.counts == {"train": 32, "validation": 4, "test": 4}
    assert "".join(store.texts(np.arange(40))) == novel("a", 40)
    assert store.split("test").min() > max(store.split(s).max() for s in ("train", "validation"))


def test_a_page_of_blank_lines_does_no_harm(tmp_path, prepared):
    text = novel("a", 20) + "\n" * 300 + novel("b", 20)
    write(tmp_path / "novel.txt", text)
    store = prepared("corpus", tmp_path / "novel.txt", passage=30)
    whole = "".join(store.texts(np.arange(store.num_samples)))
    assert whole.split() == text.split()
