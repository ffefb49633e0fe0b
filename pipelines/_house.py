"""What every entry point does the same way."""

import functools
import sys
from collections.abc import Callable
from typing import Any

SPOKEN = (ValueError, LookupError, OSError, RuntimeError, ArithmeticError, ImportError)


def clear_errors(task: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an expected error into one sentence and exit code 1; HYDRA_FULL_ERROR=1 shows it all."""

    @functools.wraps(task)
    def spoken(config: Any) -> Any:
        import os

        try:
            return task(config)
        except SPOKEN as error:
            if os.environ.get("HYDRA_FULL_ERROR"):
                raise
            sys.exit(f"error: {error}")

    return spoken
