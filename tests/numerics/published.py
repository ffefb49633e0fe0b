"""Entries are never changed: today's files against the commit of the last published results."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = "tests/numerics/expected"


def commits(root: Path = ROOT) -> list[str]:
    """The commits at which the parts of the newest version's results were measured, if any.

    They stand in `docs/results/VERSION/environment.json`; folders whose name is no version hold
    results that were carried over.
    """
    files = {
        tuple(map(int, file.parent.name.split("."))): file
        for file in (root / "docs" / "results").glob("*/environment.json")
        if re.fullmatch(r"\d+(\.\d+)*", file.parent.name)
    }
    if not files:
        return []
    environment = json.loads(files[max(files)].read_text(encoding="utf-8"))
    named = {one for part in environment["parts"].values() for one in part["commits"]}
    return sorted({one.removesuffix("-dirty") for one in named})


def in_clone(commit: str, root: Path = ROOT) -> bool:
    """Whether git knows a commit."""
    return _git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def changed(commit: str, root: Path = ROOT) -> list[str]:
    """Entries that existed at a commit and are no longer as they were, in words."""
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, f"{EXPECTED}/").stdout
    found = []
    for name in filter(None, listed.split("\0")):
        before = json.loads(_git(root, "show", f"{commit}:{name}").stdout)
        now = _read(root / name)
        found += [
            f"{name}: the entry {key!r} is not as it was at {commit}"
            for key, entry in before.items()
            if now.get(key) != entry
        ]
    return found


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
