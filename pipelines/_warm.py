"""DVC's stages in forks of a process that has imported everything: none pays for its imports.

Importing torch, Lightning, MLflow and DVC takes longer than most probes do. What runs is the same
as by `dvc repro`: DVC decides, empties, records; only `python SCRIPT ...` becomes a fork that runs
SCRIPT.
"""

import multiprocessing
import os
import runpy
import shlex
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

PRELOADED = (
    "pytorch_lightning",
    "torchaudio",
    "scipy.stats",
    "sklearn.linear_model",
    "PIL.Image",
    "dvc.cli",
    "dvc.commands.repro",
    "dvc.repo.reproduce",
    "mlflow.store.tracking.sqlalchemy_store",
    "trivium.pretraining.run",
    "trivium.pretraining.finetuned",
    "trivium.embedding",
    "trivium.probes.protocol",
    "trivium.probes.label_free",
    "trivium.probes.sensitivity",
    "trivium.probes.pairs",
    "trivium.data.catalogue",
    "trivium.tracking.lifecycle",
)


def workers(count: int) -> ProcessPoolExecutor:
    """Several processes at a time, each forked for one task from one that knows `PRELOADED`.

    Nothing that is preloaded may start threads or touch an accelerator when it is imported.
    """
    import _house  # noqa: F401 - settings that torch reads from the environment
    from trivium.tracking.experiment import quieten

    quieten()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return ProcessPoolExecutor(count, mp_context=context, max_tasks_per_child=1)


def reproduce(*words: str) -> bool:
    """`dvc repro WORDS` in this process, its stages in forks; whether all went well."""
    from dvc.cli import main
    from dvc.stage import run

    # DVC has no hook for what runs a command; constraints.txt pins the version that has this one.
    run._run = _forked
    return not main(["--wait-for-lock", "repro", *words])


def _forked(_executable: str | None, command: str, **settings: Any) -> None:
    """Instead of a shell: fork, and run the script there."""
    from dvc.stage.exceptions import StageCmdFailedError

    python, *words = shlex.split(command)
    if python != "python":
        raise ValueError(f"a stage runs {command!r}; expected python SCRIPT ...")
    sys.stdout.flush()
    sys.stderr.flush()
    forked = multiprocessing.get_context("fork").Process(
        target=_script, args=(words, settings["cwd"], settings["env"])
    )
    forked.start()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork gets it, too, and ends
    try:
        forked.join()
    finally:
        signal.signal(signal.SIGINT, before)
    if forked.exitcode:
        raise StageCmdFailedError(command, forked.exitcode)


def _script(words: list[str], folder: str, variables: dict[str, str]) -> None:
    """What `python SCRIPT ...` does once it has started."""
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv[:] = words
    sys.path.insert(0, str(Path(words[0]).resolve().parent))
    runpy.run_path(words[0], run_name="__main__")
