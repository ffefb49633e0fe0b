"""The code and the machine behind a result: commit, libraries, CPU; found without torch."""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from trivium import hardware
from trivium.tracking.client import project_root

LIBRARIES = (
    "torch", "torchvision", "torchaudio", "pytorch-lightning", "torchmetrics", "numpy", "scipy",
    "scikit-learn", "statsmodels", "datasets", "tokenizers", "pillow", "resvg-py", "soundfile",
    "timm", "transformers",
)  # fmt: skip
"""Distributions that take part in a number; one that is not installed is left out."""
WRITTEN_BY_DVC = "dvc.lock"


class Revision(NamedTuple):
    """A git commit, and whether tracked files differed from it; None outside of a repository."""

    commit: str | None
    dirty: bool | None


def environment(num_threads: int | None = None) -> dict[str, Any]:
    """What identifies the code and the machine that ran, as plain values for JSON.

    `commit` and `dirty` are None outside of a git repository. `cpu` is the CPU's class, see
    `trivium.hardware.cpu_class`; `gpu` is None where none may be used or its name is unknown.

    Args:
        num_threads: how many threads torch computes with; by default what it says itself where it
            is imported, else `OMP_NUM_THREADS`, else the number of cores.
    """
    return {
        **revision()._asdict(),
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu": hardware.cpu_class(),
        "cpu_model": hardware.cpu_model(),
        "num_cores": hardware.num_cores(),
        "num_threads": num_threads or _threads(),
        "gpu": hardware.gpu_model(),
        "libraries": libraries(),
    }


def libraries() -> dict[str, str]:
    """The installed versions of the libraries that take part in a number."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def revision() -> Revision:
    """The project's git commit; a `dvc.lock` that DVC is just writing does not count as dirty."""
    return _revision(project_root())


def _threads() -> int:
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) > 0 else hardware.num_cores()


@cache
def _revision(root: Path) -> Revision:
    changed = ("status", "--porcelain", "--untracked-files=no", "--", f":(exclude){WRITTEN_BY_DVC}")
    try:
        return Revision(_git(root, "rev-parse", "HEAD"), bool(_git(root, *changed)))
    except (OSError, subprocess.SubprocessError):
        return Revision(None, None)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
