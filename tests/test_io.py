"""Atomic writing: what is there is whole, and a failure leaves what was there before."""

import pytest

from trivium.io import new_folder, write_bytes, write_text


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "first")
    write_text(path, "zweite Fassung, größer")
    assert path.read_text(encoding="utf-8") == "zweite Fassung, größer"
    assert [one.name for one in path.parent.iterdir()] == ["b.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "b.bin"
    write_bytes(path, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["b.bin"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "store"
    for name in ("one", "two"):
        with new_folder(target) as folder:
            (folder / name).write_text(name)
    assert [one.name for one in target.iterdir()] == ["two"]
    with pytest.raises(FileNotFoundError), new_folder(target) as folder:
        (folder / "missing" / "three").write_text("")
    assert [one.name for one in target.iterdir()] == ["two"]
    assert [one.name for one in tmp_path.iterdir()] == ["store"]
