"""What is said of finished work that is used again, and how a measurement is marked as finished."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from trivium.identity import ENVIRONMENT, PACKAGE, source_file, targets
from trivium.tracking.location import project_root


def mark_measured(folder: Path, identity: str) -> None:
    """Say that a probe or fine-tuning came to its end, and by which code and machine."""
    from trivium.tracking.environment import environment

    beside = folder / f".{ENVIRONMENT}"
    text = json.dumps({"identity": identity, **environment()}, indent=1, sort_keys=True)
    beside.write_text(text + "\n")
    beside.replace(folder / ENVIRONMENT)


def origin(folder: Path, values: dict[str, Any]) -> str:
    """By which commit a folder was computed, and whose files have changed since; may be empty."""
    try:
        commit = json.loads((folder / ENVIRONMENT).read_bytes())["commit"]
    except (OSError, ValueError, KeyError):
        return ""
    if not commit:
        return ""
    changed = [path.name for path in component_files(values) if differs(commit, path)]
    since = f"; since then {', '.join(changed)} changed" if changed else ""
    return f" (by commit {commit[:8]}{since})"


def component_files(values: dict[str, Any]) -> list[Path]:
    """The files of our own components of a config: its objective, encoder, probe, views."""
    named = {target for target in targets(values) if target.partition(".")[0] == PACKAGE}
    return sorted({path for one in named if (path := source_file(one)) is not None})


@cache
def differs(commit: str, path: Path) -> bool:
    """Whether a file is another one than in a commit; False where git cannot tell."""
    command = ["git", "-C", str(project_root()), "diff", "--quiet", commit, "--", str(path)]
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 1
    except (OSError, subprocess.SubprocessError):
        return False
