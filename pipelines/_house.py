"""What every entry point does the same way."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

# Threads that spin while they wait make a busy machine many times slower; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

EXPECTED = (ValueError, LookupError, OSError, RuntimeError, ArithmeticError, ImportError)


def clear_errors(task: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an expected error into one sentence and exit code 1; HYDRA_FULL_ERROR=1 shows it all."""

    @functools.wraps(task)
    def spoken(config: Any) -> Any:
        try:
            return task(config)
        except EXPECTED as error:
            if os.environ.get("HYDRA_FULL_ERROR"):
                raise
            sys.exit(f"error: {error}\n(HYDRA_FULL_ERROR=1 shows where it was raised)")

    return spoken
