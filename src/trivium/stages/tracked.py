"""What was measured of an encoder goes to its run in the tracker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


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
    from trivium.tracking.lifecycle import find_run, reopen, start_run

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
