"""The jobs of a stage: what is told before and after, failed ones, the index of what they left."""

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from trivium.grid import Grid, Job
from trivium.identity import encoder_sums
from trivium.io import write_text
from trivium.stages.tracked import origin

failures: list[str] = []
"""What failed in this process's multirun; an entry point that ends with some exits with 1."""


class JobFailed(Exception):  # noqa: N818 - the name says what happened
    """A job's error as one text, which every process can unpickle."""


def as_failure(error: BaseException) -> JobFailed:
    """An error as it can be sent to another process; an unexpected one keeps its traceback."""
    if isinstance(error, JobFailed):
        return error
    return JobFailed("".join(traceback.format_exception(error)).rstrip())


def failed_job(overrides: Sequence[str], error: BaseException | str) -> JobReturn:
    """What a launcher returns for a job that could not return anything itself."""
    found = JobReturn(overrides=[*overrides], status=JobStatus.FAILED)
    found.return_value = JobFailed(error) if isinstance(error, str) else as_failure(error)
    return found


def is_failed(found: JobReturn) -> bool:
    """Whether a job did not end well."""
    return found.status != JobStatus.COMPLETED


def name_of(found: JobReturn) -> str:
    """A job by its overrides."""
    words = [word for word in filter_overrides(found.overrides or []) if word[:9] != "launcher="]
    return " ".join(words) or "the job without overrides"


def ended(found: JobReturn) -> JobReturn:
    """A job's result as it came; a failure is told at once, in the multirun's own process."""
    if is_failed(found):
        why = f"== {name_of(found)} failed\n{found._return_value}"
        print(why, file=sys.stderr, flush=True)
    return found


def report_failures(returns: Sequence[JobReturn]) -> None:
    """Name the jobs that failed, as the last lines of a multirun."""
    failed = [name_of(found) for found in returns if is_failed(found)]
    for name in failed:
        print(f"error: {name} failed; see above", file=sys.stderr, flush=True)
    failures.extend(failed)


def plan(grid: Grid, stage: str, copies: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of a stage, each once; says which are finished already, and by which commit."""
    repeated = any("overwrite=true" in (word.lower() for word in words) for words in copies)
    jobs = {(job.name, job.overrides): job for words in copies for job in grid.jobs(stage, words)}
    found = [job._replace(done=False) if repeated else job for job in jobs.values()]
    grid.compositions.save()
    done = [job for job in found if job.done]
    said = {f"{job.folder}{origin(job.folder, job.values)}" for job in done if job.folder}
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


def contents(grid: Grid, stage: str) -> dict[str, dict[str, str | None]]:
    """What the jobs of a stage left, by their names.

    Raises:
        SystemExit: with code 1, if a job left nothing although it did not fail.
    """
    found: dict[str, dict[str, str | None]] = {}
    for job in grid.jobs(stage):
        if not job.done and stage != "prepare":
            sys.exit(f"error: {job.name} said that it ended well, but left no result")
        found[job.name] = {"folder": None if job.folder is None else str(job.folder)}
        if stage == "pretrain" and job.folder is not None:
            found[job.name]["weights"] = encoder_sums(job.folder)[1]
        elif stage == "prepare":
            found[job.name]["fingerprint"] = job.identity
    return found


def write_index(path: Path, content: dict[str, Any]) -> None:
    """Write an index."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
