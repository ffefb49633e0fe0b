"""Measurements go to the tracked run of their encoder; reused work is named."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trivium.config import Config
from trivium.identity import ENVIRONMENT, PACKAGE, source_file, targets
from trivium.io import write_text
from trivium.tracking.client import project_root

if TYPE_CHECKING:
    from trivium.data.store import Store
    from trivium.evaluation.results import Evaluation
    from trivium.tracking.writer import RunWriter

SHOWN = ("accuracy", "recall@5")
"""Metrics that are printed."""


def mark_measured(folder: Path, identity: str) -> None:
    """Say that a probe or fine-tuning came to its end, and by which code and machine."""
    from trivium.tracking.environment import environment

    text = json.dumps({"identity": identity, **environment()}, indent=1, sort_keys=True)
    write_text(folder / ENVIRONMENT, text + "\n")


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


def tell_reuse(folder: Path, values: Config) -> None:
    """Say that a probe or fine-tuning is finished already."""
    print(f"{folder} holds this already{origin(folder, values)}; overwrite=true repeats it.")


class PretrainedOn(NamedTuple):
    """What an encoder learnt from, and for how many optimiser steps."""

    dataset: str
    task: str | None
    num_steps: int


def pretrained_on(source: Path | None, store: "Store", task: str | None) -> PretrainedOn:
    """That of the encoder in a folder; of the raw input (None): what is probed."""
    from trivium.encoders.checkpoint import read_facts

    if source is None:
        return PretrainedOn(store.meta.name, task, 0)
    facts = read_facts(source)
    return PretrainedOn(facts["dataset"], facts["task"], int(facts.get("num_steps", 0)))


def keep(
    evaluation: "Evaluation",
    store: "Store",
    folder: Path,
    own: PretrainedOn,
    name: str = "",
    below: Sequence[str] = (),
) -> None:
    """Write an evaluation, add it to the tracked run of its encoder, and print its main figures.

    In the tracker the results stand at the encoder's last step, and names set apart those on
    another dataset or task than its own.

    Args:
        evaluation: What was measured.
        store: What was probed.
        folder: Where its files go.
        own: What the encoder learnt from.
        name: What sets it apart from other evaluations of the encoder.
        below: Where its files lie within those of the task in the tracker.
    """
    from trivium.evaluation.results import write_evaluation
    from trivium.tracking import names

    write_evaluation(evaluation, folder)
    facts, meta = evaluation.facts, store.meta
    task = str(facts["task"])
    # A direction of retrieval is no task that an encoder could have learnt.
    learnt = own.task if task in meta.tasks else task
    is_own = (own.dataset, learnt) == (meta.name, task)
    where = [*([] if is_own else [names.elsewhere(meta.name, task)]), *([name] if name else [])]
    found = evaluation.summary()
    more = [*below, *([folder.name] if store.parts else [])]  # several may share a task
    with writer_of(evaluation) as writer:
        writer.log_dataset(meta.name, store.fingerprint, meta.source, context="probe")
        values = {names.probe(*measure, *where): value for measure, value in found.items()}
        writer.log_metrics(values, own.num_steps)
        writer.log_artifacts(folder, to=names.evaluation_files(meta.name, task, *more))
    label = f"{facts['dataset']}-{facts['objective']}-{facts['seed']}"
    label += "" if own.dataset == meta.name else f"-on-{meta.name}"
    for measure, value in found.items():
        if measure.split == "test" and measure.metric in SHOWN:
            share = "" if measure.fraction is None else f", {measure.fraction:.0%} of labels"
            what = f"{name or task}: {measure.probe}{share}"
            print(f"{label}, {what}: test {measure.metric} {value:.4f}")


def writer_of(evaluation: "Evaluation") -> "RunWriter":
    """A writer to the tracked run of the encoder, or to a run of the evaluation's own."""
    from trivium.tracking import names
    from trivium.tracking.run import find_run, reopen, start_run

    run_id = find_run({names.CHECKPOINT: evaluation.checkpoint})
    if run_id is not None:
        return reopen(run_id)
    facts = evaluation.facts
    tags = names.encoder_tags(facts) | {
        names.PROTOCOL: evaluation.protocol,
        names.CHECKPOINT: evaluation.checkpoint,
        names.KIND: names.Kind.PROBE,
    }
    return start_run(f"{facts['objective']} · {facts['seed']} · {facts['dataset']}", tags, {})
