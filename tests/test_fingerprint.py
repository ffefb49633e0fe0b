import pytest

from trivium import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules: one imports another; the third stands alone."""
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "base.py").write_text('"""Base."""\n\n\ndef f(x):\n    """Doc."""\n    return x\n')
    (tmp_path / "user.py").write_text("from trivium.base import f\nprint(f(1))\n")
    (tmp_path / "other.py").write_text("y = 2\n")
    monkeypatch.setattr(fingerprint, "SOURCE", tmp_path)
    fingerprint._read.cache_clear()
    yield tmp_path
    fingerprint._read.cache_clear()


def digest(*modules):
    fingerprint._read.cache_clear()
    return fingerprint.code_digest(modules)


def test_an_edit_changes_what_imports_it_and_nothing_else(package):
    before = digest("trivium.user"), digest("trivium.other")
    (package / "base.py").write_text("def f(x):\n    return x + 1\n")
    after = digest("trivium.user"), digest("trivium.other")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_comments_docstrings_and_formatting_do_not_count(package):
    before = digest("trivium.user")
    (package / "base.py").write_text('"""Other words."""\ndef f( x ):  # why\n    return x\n')
    assert digest("trivium.user") == before


def test_an_unknown_module_is_an_error(package):
    with pytest.raises(ValueError, match="no module"):
        digest("trivium.nowhere")


def test_one_objectives_code_does_not_touch_another():
    fingerprint._read.cache_clear()
    parts = fingerprint._read("trivium.objectives.self_supervised.simclr")[1]
    assert not any("mae" in part for part in parts)
