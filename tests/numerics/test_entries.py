"""That goldens can fail: how they are compared, recorded and guarded."""

import json
import os
import subprocess

import pytest

from . import components, golden, published

KEY, VALUES = "objective 1", {"losses": [2.0, 1.0], "shape": [3], "sum": "ab"}


@pytest.fixture
def recorded(tmp_path):
    golden.add("objective/one", KEY, VALUES, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "is_equal"),
    [
        ({}, True),
        ({"losses": [2.0, 1.00001]}, True),
        ({"losses": [2.0, 1.0001]}, False),
        ({"losses": [2.0]}, False),
        ({"losses": [2.0, float("nan")]}, False),
        ({"shape": [4]}, False),
        ({"sum": "ac"}, False),
        ({"more": 1.0}, False),
    ],
)
def test_a_value_that_differs_is_named(changed, is_equal, recorded):
    found = golden.differences("objective/one", KEY, VALUES | changed, recorded)
    assert (found == []) is is_equal


def test_the_tolerance_is_looser_on_another_cpu(recorded):
    path = golden.path_of("objective/one", recorded)
    path.write_text(path.read_text().replace(golden.cpu_class(), "a Z80, torch 0.1"))
    near, far = VALUES | {"losses": [2.0, 1.001]}, VALUES | {"losses": [2.0, 1.01]}
    assert golden.differences("objective/one", KEY, near, recorded) == []
    assert golden.differences("objective/one", KEY, far, recorded) != []


def test_a_component_without_an_entry_fails_and_says_how_to_record(recorded):
    for component, key in (("objective/two", KEY), ("objective/one", "objective 2")):
        (message,) = golden.differences(component, key, VALUES, recorded)
        assert f"python -m tests.numerics.record {component}" in message


def test_recording_never_overwrites_an_entry(recorded):
    with pytest.raises(ValueError, match="raise the number `numerics`"):
        golden.add("objective/one", KEY, {"losses": [1.0]}, recorded)
    golden.add("objective/one", "objective 2", {"losses": [1.0]}, recorded)
    entries = golden.read("objective/one", recorded)
    assert entries["objective 2"]["losses"] == [1.0]
    assert entries[KEY]["losses"] == VALUES["losses"]


def test_raised_numbers_are_a_new_key():
    before = {"objective": {"_target_": "x"}, "views": {"image": {"plain": {}}}}
    raised = {"objective": {"numerics": 2}, "views": {"image": {"plain": {}, "numerics": 3}}}
    assert components.key_of(before) == "objective 1, views.image 1"
    assert components.key_of(raised) == "objective 2, views.image 3"


def test_every_objective_is_seen():
    files = (components.CONF / "objective").glob("*/*.yaml")
    seen = {name.removeprefix("objective/").rpartition("/")[0] for name in components.objectives()}
    assert seen == {f"{file.parent.name}/{file.stem}" for file in files}


@pytest.fixture
def published_tree(tmp_path):
    """A repository in which 0.10 was published after 0.9, at a commit with one golden."""

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    golden.add("objective/one", KEY, VALUES, tmp_path / published.EXPECTED)
    git("add", ".")
    git("commit", "-qm", "goldens")
    commit = git("rev-parse", "HEAD")
    for version, known in (("0.9", "0" * 40), ("0.10", commit), ("older", "1" * 40)):
        folder = tmp_path / "docs" / "results" / version
        folder.mkdir(parents=True)
        (folder / "environment.json").write_text(
            json.dumps({"parts": {"all": {"commits": [known]}}})
        )
    return tmp_path, commit


def test_an_entry_edited_in_place_is_found(published_tree):
    root, commit = published_tree
    assert published.commits(root) == [commit]
    assert published.in_clone(commit, root)
    assert not published.in_clone("0" * 40, root)
    golden.add("objective/one", "objective 2", VALUES, root / published.EXPECTED)
    assert published.changed(commit, root) == []
    path = golden.path_of("objective/one", root / published.EXPECTED)
    path.write_text(path.read_text().replace("1.0", "1.5", 1))
    (message,) = published.changed(commit, root)
    assert KEY in message
    path.unlink()
    assert len(published.changed(commit, root)) == 1


def test_published_entries_are_unchanged():
    found = published.commits()
    if not found:
        pytest.skip("no results are published in docs/results: nothing to compare with")
    unknown = [commit for commit in found if not published.in_clone(commit)]
    if unknown and os.environ.get("CI") != "true":
        pytest.skip(f"this clone does not hold the commit of the results: {', '.join(unknown)}")
    assert unknown == [], "clone with its whole history: the commit of the results is not in it"
    assert [line for commit in found for line in published.changed(commit)] == []
