from trivium.data.cache import cache_folder, cached, place


def test_placed_files_are_found_again(cache, tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    assert cached("npm/x") is None
    assert place(tmp_path / "x", "npm/x") == cached("npm/x") == cache / "npm" / "x"
    assert (cache / "npm" / "x").read_bytes() == b"1"
    (tmp_path / "x").write_bytes(b"2")
    place(tmp_path / "x", "npm/x")
    assert (cache / "npm" / "x").read_bytes() == b"2"
    assert [p.name for p in (cache / "npm").iterdir()] == ["x"]


def test_the_first_of_two_folders_stays(cache, tmp_path):
    for text in "12":
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text(text)
        place(tmp_path / "d", "hub/d")
    assert (cache / "hub" / "d" / "f").read_text() == "1"
    assert [p.name for p in (cache / "hub").iterdir()] == ["d"]


def test_without_the_variable_it_is_the_users_own(monkeypatch):
    monkeypatch.delenv("TRIVIUM_CACHE")
    assert cache_folder().name == "trivium"
