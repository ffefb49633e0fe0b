"""Measurements go to the tracked run of their encoder; reused work is named."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trivium.config import Config
from trivium.identity import (
    ENVIRONMENT,
    PACKAGE,
    fingerprint_of,
    is_measured,
    measurement_folder,
    measurement_identity,
    source_file,
    targets,
)
from trivium.stages.subject import RAW
from trivium.tracking.client import project_root

if TYPE_CHECKING:
    from trivium.data.store import Store
    from trivium.evaluation.results import Evaluation

SHOWN = ("accuracy", "recall@5")
"""Metrics that are printed."""


def mark_measured(folder: Path, identity: str) -> None:
    """Say that a probe or fine-tuning came to its end, and by which code and machine."""
    from trivium.tracking.environment import environment

    beside = folder / f".{ENVIRONMENT}"
    text = json.dumps({"identity": identity, **environment()}, indent=1, sort_keys=True)
    beside.write_text(text + "\n")
    beside.replace(folder / ENVIRONMENT)


def origin(folder: Path, values: Config) -> str:
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


def component_files(values: Config) -> list[Path]:
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


def finished_measurement(values: Config) -> Path | None:
    """The folder of this very probe or fine-tuning if it is finished; found without torch."""
    fingerprint, checkpoint = fingerprint_of(values), str(values["checkpoint"])
    if fingerprint is None or values["overwrite"]:
        return None
    source = None if checkpoint == RAW else Path(checkpoint)
    try:
        identity = measurement_identity(values, fingerprint, source)
    except FileNotFoundError:  # there is none, or the tracker keeps it
        return None
    folder = measurement_folder(values, source, identity)
    return folder if is_measured(folder, identity) else None


def tell_reuse(folder: Path, values: Config) -> None:
    """Say that a probe or fine-tuning is finished already."""
    print(f"{folder} holds this already{origin(folder, values)}; overwrite=true repeats it.")


class Home(NamedTuple):
    """What an encoder learnt from, and for how many optimiser steps."""

    dataset: str
    task: str | None
    num_steps: int


def home(source: Path | None, store: "Store", task: str | None) -> Home:
    """That of the encoder in a folder; of the raw input (None): what is probed."""
    from trivium.encoders.checkpoint import read_facts

    if source is None:
        return Home(store.meta.name, task, 0)
    facts = read_facts(source)
    return Home(facts["dataset"], facts["task"], int(facts.get("num_steps", 0)))


def keep(
    evaluation: "Evaluation",
    store: "Store",
    folder: Path,
    own: Home,
    label: str,
    name: str = "",
    below: Sequence[str] = (),
) -> None:
    """Write an evaluation, add it to the tracked run of its encoder, and print its main figures.

    Args:
        evaluation: What was measured.
        store: What was probed.
        folder: Where its files go.
        own: What the encoder learnt from.
        label: The encoder, as it is told.
        name: What sets it apart from other evaluations of the encoder.
        below: Where its files lie within those of the task in the tracker.
    """
    from trivium.evaluation.results import write_evaluation

    write_evaluation(evaluation, folder)
    track(evaluation, store, folder, own, name, below)
    where = "" if own.dataset == store.meta.name else f"-on-{store.meta.name}"
    for measure, value in evaluation.summary().items():
        if measure.split == "test" and measure.metric in SHOWN:
            share = "" if measure.fraction is None else f", {measure.fraction:.0%} of labels"
            print(
                f"{label}{where}, {name or evaluation.facts['task']}: {measure.probe}{share}: "
                f"test {measure.metric} {value:.4f}"
            )


def track(
    evaluation: "Evaluation",
    store: "Store",
    folder: Path,
    own: Home,
    name: str,
    below: Sequence[str],
) -> None:
    """Add the results to the encoder's run in MLflow, or to a run of their own.

    They stand at the encoder's last step. Names set apart those on another dataset or task than
    its own.
    """
    from trivium.tracking import names
    from trivium.tracking.run import find_run, reopen, start_run

    facts, meta = evaluation.facts, store.meta
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
    learnt = own.task if task in meta.tasks else task
    at_home = (own.dataset, learnt) == (meta.name, task)
    where = [*([] if at_home else [names.elsewhere(meta.name, task)]), *([name] if name else [])]
    found = {
        names.probe(*measure, *where): value for measure, value in evaluation.summary().items()
    }
    more = [*below, *([folder.name] if store.parts else [])]  # several may share a task
    with writer:
        writer.log_dataset(meta.name, store.fingerprint, meta.source, context="probe")
        writer.log_metrics(found, own.num_steps)
        writer.log_artifacts(folder, to=names.evaluation_files(meta.name, task, *more))
