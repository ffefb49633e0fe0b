import json
import subprocess
from importlib.metadata import version

import torch

from trivium import hardware
from trivium.tracking.environment import environment, libraries, revision


def repository(folder):
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name in ("code.py", "dvc.lock"):
        (folder / name).write_text("1")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return head.stdout.strip()


def test_it_says_what_computed():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["cpu"] == hardware.cpu_class()
    assert found["num_threads"] == torch.get_num_threads()
    assert found["libraries"]["torch"] == version("torch") == torch.__version__.split("+")[0]
    assert environment(num_threads=3)["num_threads"] == 3


def test_a_library_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr("trivium.tracking.environment.LIBRARIES", ("numpy", "no-such-library"))
    assert libraries() == {"numpy": version("numpy")}


def test_outside_of_a_repository_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert revision() == (None, None)


def test_a_changed_file_makes_the_tree_dirty(tmp_path, monkeypatch):
    clean, changed = tmp_path / "clean", tmp_path / "changed"
    heads = {}
    for folder in (clean, changed):
        folder.mkdir()
        heads[folder] = repository(folder)
    (clean / "dvc.lock").write_text("2")  # as while `dvc repro` runs
    (clean / "notes.txt").write_text("untracked")
    (changed / "code.py").write_text("2")
    for folder, dirty in ((clean, False), (changed, True)):
        monkeypatch.setenv("DVC_ROOT", str(folder))
        assert revision() == (heads[folder], dirty)
        assert environment()["commit"] == heads[folder]
        assert environment()["dirty"] is dirty
