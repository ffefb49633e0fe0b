"""Measurements go to the tracked run of their encoder; reused work is named."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from trivium.identity import ENVIRONMENT, PACKAGE, source_file, targets
from trivium.tracking.client import project_root


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


class Home(NamedTuple):
    """What an encoder learnt from, and for how many optimiser steps."""

    dataset: str
    task: str | None
    num_steps: int


def home(source: Path | None, store: Any, task: str | None) -> Home:
    """That of an encoder; the raw input is at home wherever it is probed.

    Args:
        source: The encoder's folder; None of the raw input.
        store: What is probed.
        task: Its main task.
    """
    from trivium.encoders.checkpoint import read_facts

    if source is None:
        return Home(store.meta.name, task, 0)
    facts = read_facts(source)
    return Home(facts["dataset"], facts["task"], int(facts.get("num_steps", 0)))


def track(
    evaluation: Any,
    store: Any,
    folder: Path,
    own: Home,
    one_of: Sequence[str] = (),
    below: Sequence[str] = (),
) -> None:
    """Add the results to the encoder's run in MLflow, or to a run of their own.

    They stand at the encoder's last step. Names set apart those on another dataset or task than
    its own.

    Args:
        evaluation: What was measured.
        store: What was probed.
        folder: The evaluation's files.
        own: What the encoder learnt from.
        one_of: What names one of several evaluations of an encoder, in the metrics.
        below: Where its files lie within those of the task.
    """
    from trivium.tracking import names
    from trivium.tracking.run import find_run, reopen, start_run

    facts = evaluation.facts
    run_id = find_run({names.CHECKPOINT: evaluation.checkpoint})
    if run_id is None:
        tags = names.encoder_tags(facts) | {
            names.PROTOCOL: evaluation.protocol,
            names.CHECKPOINT: evaluation.checkpoint,
            names.KIND: names.Kind.PROBE,
        }
        label = f"{facts['objective']} · {facts['seed']} · {facts['dataset']}"
        writer = start_run(label, tags, {})
    else:
        writer = reopen(run_id)
    task = str(facts["task"])
    # A direction of retrieval is no task that an encoder could have learnt.
    learnt = own.task if task in store.meta.tasks else task
    elsewhere = (
        []
        if (own.dataset, learnt) == (store.meta.name, task)
        else [names.elsewhere(store.meta.name, task)]
    )
    found = {
        names.probe(*measure, *elsewhere, *one_of): value
        for measure, value in evaluation.summary().items()
    }
    more = [*below, *([folder.name] if store.parts else [])]  # several may share a task
    with writer:
        writer.log_dataset(store.meta.name, store.fingerprint, store.meta.source, context="probe")
        writer.log_metrics(found, own.num_steps)
        writer.log_artifacts(folder, to=names.evaluation_files(store.meta.name, task, *more))
