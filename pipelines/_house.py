"""What every entry point does the same way."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

# Threads that spin while they wait make a busy machine many times slower; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

failures: list[str] = []
"""What went wrong in trials of a sweep that went on."""

EXPECTED = (ValueError, LookupError, OSError, RuntimeError, ArithmeticError, ImportError)


def in_sweep() -> bool:
    """Whether this is a trial of a sweep (`-m`)."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def clear_errors(task: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an expected error into one sentence and exit code 1; HYDRA_FULL_ERROR=1 shows it all."""

    @functools.wraps(task)
    def spoken(config: Any) -> Any:
        try:
            return task(config)
        except EXPECTED as error:
            if os.environ.get("HYDRA_FULL_ERROR"):
                raise
            message = f"error: {error}\n(HYDRA_FULL_ERROR=1 shows where it was raised)"
            if not in_sweep():
                sys.exit(message)
            print(message, file=sys.stderr, flush=True)  # the sweep goes on with its other trials
            failures.append(message)
            return None

    return spoken


def start(app: Callable[[], Any]) -> None:
    """Run an entry point; a sweep with a failed trial ends with exit code 1."""
    app()
    if failures:
        sys.exit(f"error: {len(failures)} trial(s) of the sweep failed; see above")
