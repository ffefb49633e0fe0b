"""Failed jobs of a multirun: under every launcher a job's error comes back in its `JobReturn`."""

import sys
import traceback
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus, filter_overrides

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


def message_of(found: JobReturn) -> str:
    """Why a job failed."""
    return str(found._return_value)


def tell_failure(found: JobReturn) -> None:
    """Say at once, in the multirun's own process, why a job failed."""
    print(f"== {name_of(found)} failed\n{message_of(found)}", file=sys.stderr, flush=True)


def report_failures(returns: Sequence[JobReturn], names: Sequence[str] | None = None) -> int:
    """Name the jobs that failed, as the last lines of a multirun.

    Args:
        returns: what the launcher returned.
        names: the jobs' names; by default their overrides.

    Returns:
        The exit code: 1 if a job failed.
    """
    named = [name_of(found) for found in returns] if names is None else names
    failed = [name for name, found in zip(named, returns, strict=True) if is_failed(found)]
    for name in failed:
        print(f"error: {name} failed; see above", file=sys.stderr, flush=True)
    failures.extend(failed)
    return int(bool(failed))
