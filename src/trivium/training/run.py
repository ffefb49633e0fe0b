"""One pretraining from its parts to its folder."""

import importlib.metadata
from typing import Any

import torch

from trivium.data.store import Store
from trivium.encoders.checkpoint import checkpoint_hash, save_encoder
from trivium.encoders.towers import Towers
from trivium.features import TOKENIZER
from trivium.identity import ENVIRONMENT
from trivium.tracking import names
from trivium.tracking.environment import environment
from trivium.tracking.run import resume, start_run
from trivium.tracking.writer import RunWriter
from trivium.training.budget import StepCost
from trivium.training.datamodule import StoreData
from trivium.training.fitting import fill_missing, train_values
from trivium.training.folder import RunFolder, saved_progress
from trivium.training.module import TrainingModule
from trivium.training.settings import PretrainingRun
from trivium.training.trainer import apply_budget, train
from trivium.training.validation import selection_accuracy, validation_loss
from trivium.types import Objective

UNTRAINED_CURVES: dict[str, Any] = {
    "step": [], "flops": [], "samples": [], "terms": {}, "monitor": {"step": []},
}  # fmt: skip
FITTED_TARGETS = 2000
"""Samples that an objective's targets are fitted on before the first step."""


def pretrain(
    run: PretrainingRun,
    store: Store,
    folder: RunFolder,
    *,
    name: str,
    experiment: str,
    interval: float,
) -> float | None:
    """Pretrain, or go on with what an interrupted run left in `folder`, and export the encoder.

    Returns:
        Validation accuracy of a linear probe on the frozen encoder, None on unlabelled data.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if the loss is not finite.
        CollapseError: if the collapse monitor stops the run.
    """
    objective, batch_size = run.objective, run.trainer.batch_size
    if run.trainer.num_threads is not None:
        torch.set_num_threads(run.trainer.num_threads)
    data = StoreData(
        store,
        batch_size=batch_size,
        seed=run.seed,
        task=run.task,
        packed=objective.needs.packed,
        column=getattr(run.views, "column", None),
        data_fraction=run.data_fraction,
    )
    control = objective.paradigm == "control"
    module, step_cost = (None, StepCost(lambda _: 0)) if control else build_module(run, data)
    writer = open_writer(run, store, folder, name=name, experiment=experiment, interval=interval)
    with writer:
        if module is None:
            measured: dict[str, Any] = {"num_steps": 0, "final": {}}
            flops = objective.fit(*train_values(data))
            folder.write_json("curves.json", UNTRAINED_CURVES)
        else:
            if type(objective).fit is not Objective.fit:
                objective.fit(*train_values(data, data.column, FITTED_TARGETS))
            measured = train(module, run, data, folder, step_cost=step_cost, writer=writer)
            flops = step_cost.upto(measured["num_steps"])
        num_steps = measured["num_steps"]
        counts = {"flops": flops, "samples": num_steps * batch_size, "items": len(data.items)}
        encoder = objective.encoder.cpu()
        if isinstance(encoder, Towers):
            fill_missing(encoder, store, data.items)
        version = importlib.metadata.version("trivium")
        facts = {**run.facts, "num_steps": num_steps, **counts, "trivium": version}
        save_encoder(encoder, folder.path, facts)
        if store.tokenizer_sum is not None:
            folder.write_text(TOKENIZER, store.tokenizer_text())
        metrics = {
            **measured,
            **counts,
            "flops_per_step": flops // num_steps if num_steps else step_cost.step(0),
            "num_parameters": sum(p.numel() for p in encoder.parameters()),
        }
        if module is not None and run.monitor.num_held_out:
            metrics["held_out"] = validation_loss(module, data, run.monitor.num_held_out)
        accuracy = selection_accuracy(encoder, store, run.task)
        if accuracy is not None:
            metrics["validation_accuracy"] = accuracy
        finish(metrics, folder, writer)
    return accuracy


def build_module(run: PretrainingRun, data: StoreData) -> tuple[TrainingModule, StepCost]:
    """The Lightning module with the number of its steps, and what they cost."""
    module = TrainingModule(
        run.objective,
        views=run.views,
        optimiser=run.optimiser,
        schedule=run.schedule,
        weight_decay=run.weight_decay,
        seed=run.seed,
    )
    return module, apply_budget(run.budget, module, data)


def open_writer(
    run: PretrainingRun,
    store: Store,
    folder: RunFolder,
    *,
    name: str,
    experiment: str,
    interval: float,
) -> RunWriter:
    """Start the tracked run, or go on with the one in the checkpoint."""
    if folder.resumable:
        step, run_id = saved_progress(folder.checkpoint)
        return resume(run_id, step, folder=folder.path, interval=interval)
    tags = {
        names.KIND: names.Kind.PRETRAINING,
        names.PROTOCOL: run.facts["protocol"],
        names.IDENTITY: folder.identity,
    }
    writer = start_run(
        name,
        names.encoder_tags(run.facts) | tags,
        run.config,
        folder=folder.path,
        experiment=experiment,
        interval=interval,
    )
    writer.log_dataset(store.meta.name, store.fingerprint, store.meta.source, context="pretraining")
    writer.log_text((folder.path / "config.yaml").read_text(), "config.yaml")
    return writer


def finish(metrics: dict[str, Any], folder: RunFolder, writer: RunWriter) -> None:
    """Write the run's metrics to its folder, and everything to the tracker."""
    counts = ("flops", "samples", "items", "num_parameters")
    tracked = {names.cost(name): float(metrics[name]) for name in counts}
    for key, name in (
        ("validation_accuracy", names.SELECTION_ACCURACY),
        ("held_out", names.VALIDATION_LOSS),
    ):
        if key in metrics:
            tracked[name] = metrics[key]
    writer.log_metrics(tracked, metrics["num_steps"])
    writer.set_tags({names.CHECKPOINT: checkpoint_hash(folder.path)})
    folder.write_json(ENVIRONMENT, {"identity": folder.identity, **environment()})
    folder.write_json("metrics.json", metrics)  # the last: it says that the run is finished
    folder.track(writer)
    folder.checkpoint.unlink(missing_ok=True)
