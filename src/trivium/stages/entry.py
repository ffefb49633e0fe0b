"""What every entry point does the same way: resolvers, one sentence for an expected error."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from trivium.config import plain, register
from trivium.stages import stopping
from trivium.stages.multirun import JobFailed, failures

# Threads that spin while they wait make a busy machine many times slower; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

EXPECTED = (ValueError, LookupError, OSError, RuntimeError, ArithmeticError, ImportError)
SWEPT = ("prepare", "pretrain", "probe", "finetune")
"""Stages whose cells a grid turns into jobs."""


def in_sweep() -> bool:
    """Whether this is a job of a multirun (`-m`)."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run(stage: str, config: DictConfig) -> Any:
    """Run a stage by its composed config; an expected error becomes one sentence.

    Of a single run the exit code is 1 then; a job of a multirun lets the others go on.
    HYDRA_FULL_ERROR=1 shows where an error was raised.
    """
    register()
    try:
        if stage in SWEPT and config.get("grid") and not in_sweep():
            raise ValueError(
                f"grid={config.grid.name} names many runs: add -m "
                f"(python pipelines/{stage}.py -m grid={config.grid.name})."
            )
        return importlib.import_module(f"trivium.stages.{stage}").main(plain(config))
    except EXPECTED as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        message = f"error: {error}\n(HYDRA_FULL_ERROR=1 shows where it was raised)"
        if not in_sweep():
            sys.exit(message)
        raise JobFailed(message) from error


def start(app: Callable[[], Any]) -> None:
    """Start an entry point; a multirun with a failed job ends with exit code 1."""
    register()
    stopping.install()
    app()
    if failures:
        sys.exit(f"error: {len(failures)} job(s) of the multirun failed; see above")
