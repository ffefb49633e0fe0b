import pytest

from trivium.data.errors import SourceUnavailable
from trivium.data.sources import only_file, plain, run_tool


def test_a_failing_tool_gives_its_reason(tmp_path):
    with pytest.raises(SourceUnavailable, match="sh: error: no such package"):
        run_tool(["sh", "-c", "echo working; echo error: no such package >&2; exit 3"], tmp_path)
    with pytest.raises(SourceUnavailable, match="failed without a word"):
        run_tool(["sh", "-c", "exit 1"], tmp_path)


def test_a_slow_tool_is_stopped(tmp_path):
    with pytest.raises(SourceUnavailable, match="no answer in 0 s"):
        run_tool(["sleep", "20"], tmp_path, timeout=0.1)


def test_exactly_one_file_is_expected(tmp_path):
    with pytest.raises(SourceUnavailable, match="expected one"):
        only_file(tmp_path, "*.tgz")
    (tmp_path / "a.tgz").touch()
    assert only_file(tmp_path, "*.tgz") == tmp_path / "a.tgz"


def test_scopes_become_plain_names():
    assert plain("@scope/name") == "scope-name"
