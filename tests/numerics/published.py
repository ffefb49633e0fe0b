"""Entries are never changed: today's files against the commit of the last published results."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = "tests/numerics/expected"


def commits(root: Path = ROOT) -> list[str]:
    """The commits at which the results of the newest version were measured; none if there are none.

    They stand in `docs/results/VERSION/environment.json`, or in one of each part below VERSION.
    """
    found: dict[tuple[int, ...], list[Path]] = {}
    for file in (root / "docs" / "results").glob("*/**/environment.json"):
        version = file.relative_to(root / "docs" / "results").parts[0]
        numbers = tuple(map(int, re.findall(r"\d+", version)))
        found.setdefault(numbers, []).append(file)
    newest = sorted(found[max(found)]) if found else []
    return sorted({json.loads(file.read_text(encoding="utf-8"))["commit"] for file in newest})


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
