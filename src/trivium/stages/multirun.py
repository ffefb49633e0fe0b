"""A stage's jobs of a grid: what is told before and after, and the index of what they left."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trivium.grid import Grid, Job
from trivium.identity import encoder_sums
from trivium.stages.reuse import origin


def plan(grid: Grid, stage: str, copies: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of a stage, each once; says which are finished already, and by which commit."""
    repeated = any("overwrite=true" in (word.lower() for word in words) for words in copies)
    jobs = {(job.name, job.overrides): job for words in copies for job in grid.jobs(stage, words)}
    found = [job._replace(done=False) if repeated else job for job in jobs.values()]
    grid.compositions.save()
    done = [job for job in found if job.done]
    said = {f"{job.folder}{origin(job.folder, dict(job.values))}" for job in done if job.folder}
    for line in sorted(said):
        print(f"== finished already: {line}")
    num_todo = sum(not job.done and not job.blocked for job in found)
    print(f"== {stage}, grid {grid.name}: {len(done)} finished, {num_todo} to do", flush=True)
    return found


def end(
    grid: Grid, stage: str, jobs: Sequence[Job], failed: Sequence[str], index: str | None
) -> None:
    """Name what failed or could not begin; else write the index of what the jobs left.

    The index says by which folders the jobs are known, and nothing that differs from one time to
    the next; it is what DVC sees of a stage.

    Raises:
        SystemExit: with code 1, if a job failed or could not begin.
    """
    for job in jobs:
        if job.blocked:
            print(f"error: {job.name}: {job.blocked}", file=sys.stderr)
    for name in failed:
        print(f"error: {name} failed; see above", file=sys.stderr)
    problems = len(failed) + sum(bool(job.blocked) for job in jobs)
    if problems:
        sys.exit(f"error: {problems} of {len(jobs)} job(s) of {stage} failed; see above")
    if index is not None:
        write_index(Path(index), contents(grid, stage))


def contents(grid: Grid, stage: str) -> dict[str, Any]:
    """What the jobs of a stage left, by their names.

    Raises:
        SystemExit: with code 1, if a job left nothing although it did not fail.
    """
    found: dict[str, Any] = {}
    for job in grid.jobs(stage):
        if not job.done and stage != "prepare":
            sys.exit(f"error: {job.name} said that it ended well, but left no result")
        folder = None if job.folder is None else str(job.folder)
        if stage == "pretrain" and job.folder is not None:
            found[job.name] = {"folder": folder, "weights": encoder_sums(job.folder)[1]}
        elif stage == "prepare":
            found[job.name] = {"folder": folder, "fingerprint": job.identity}
        else:
            found[job.name] = {"folder": folder}
    return found


def write_index(path: Path, content: dict[str, Any]) -> None:
    """Write an index in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    beside.replace(path)
