"""One pretraining run from its parts to its folder."""

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trivium.data.batches import gather, modality_inputs_of
from trivium.data.store import Store
from trivium.encoders.checkpoint import checkpoint_hash, save_encoder
from trivium.encoders.towers import Towers
from trivium.features import TOKENIZER
from trivium.identity import ENVIRONMENT
from trivium.tracking import names
from trivium.tracking.environment import environment
from trivium.tracking.run import resume, start_run
from trivium.tracking.writer import RunWriter
from trivium.training.budget import Budget, StepCost, count_flops
from trivium.training.datamodule import StoreData
from trivium.training.folder import RunFolder, saved_progress
from trivium.training.module import PARADIGMS, Pretraining, ViewsRecipe, fill_missing
from trivium.training.optimizer import OptimiserFactory
from trivium.training.samples import spread
from trivium.training.settings import MonitorSettings, TrainerSettings
from trivium.training.trainer import Watch, fit
from trivium.training.validation import selection_accuracy, validation_loss
from trivium.types import Column, Objective

UNTRAINED_CURVES: dict[str, Any] = {
    "step": [], "flops": [], "samples": [], "terms": {}, "monitor": {"step": []},
}  # fmt: skip

MOST_FITTED, FEWER_FITTED = 100_000, 2000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that one pretraining run is made of.

    `objective` holds the encoder; `views` makes its views; `schedule` maps progress to a learning
    rate factor; `task` names the labels, None on unlabelled data; `facts` are written beside the
    encoder; `config` is the whole resolved configuration, for the record; `data_fraction` is the
    share of the train split that is learnt from.
    """

    objective: Objective
    views: ViewsRecipe
    optimiser: OptimiserFactory
    schedule: Any
    weight_decay: float
    budget: Budget
    trainer: TrainerSettings
    monitor: MonitorSettings
    seed: int
    task: str | None
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    data_fraction: float = 1.0


def pretrain(
    recipe: Recipe, store: Store, folder: RunFolder, *, name: str, experiment: str, interval: float
) -> float | None:
    """Run it, or go on with what an interrupted run left in `folder`, and export the encoder.

    Returns:
        Validation accuracy of a linear probe on the frozen encoder, None on unlabelled data.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if the loss is not finite.
        CollapseError: if a sentinel stops the run.
    """
    if recipe.trainer.num_threads is not None:
        torch.set_num_threads(recipe.trainer.num_threads)
    data = StoreData(
        store,
        batch_size=recipe.trainer.batch_size,
        seed=recipe.seed,
        task=recipe.task,
        packed=recipe.objective.needs.packed,
        column=getattr(recipe.views, "column", None),
        data_fraction=recipe.data_fraction,
    )
    module, price = None, StepCost.constant(0)
    if recipe.objective.paradigm != "control":
        module, price = build_module(recipe, data)
    writer = open_writer(recipe, store, folder, name=name, experiment=experiment, interval=interval)
    with writer:
        if module is None:
            num_steps, watch = 0, None
            flops = recipe.objective.fit(*train_values(data))
        else:
            if type(recipe.objective).fit is not Objective.fit:
                recipe.objective.fit(*train_values(data, data.column, FEWER_FITTED))
            watch = fit(module, recipe, data, folder, price=price, writer=writer)
            num_steps = watch.num_steps
            flops = price.upto(num_steps)
        samples = num_steps * recipe.trainer.batch_size
        facts = {
            **recipe.facts,
            "num_steps": num_steps,
            "flops": flops,
            "samples": samples,
            "items": len(data.items),
            "trivium": importlib.metadata.version("trivium"),
        }
        encoder = recipe.objective.encoder.cpu()
        if isinstance(encoder, Towers):
            fill_missing(encoder, store, data.items)
        save_encoder(encoder, folder.path, facts)
        if store.tokenizer_sum is not None:
            folder.write_text(TOKENIZER, store.tokenizer_text())
        metrics = {
            "num_steps": num_steps,
            "flops": flops,
            "flops_per_step": flops // num_steps if num_steps else price.step(0),
            "samples": samples,
            "items": len(data.items),
            "num_parameters": sum(p.numel() for p in recipe.objective.encoder.parameters()),
            "final": watch.final if watch else {},
        }
        if watch and watch.language:
            metrics["language"] = watch.language
        if module is not None and recipe.monitor.num_held_out:
            metrics["held_out"] = validation_loss(module, data, recipe.monitor.num_held_out)
        accuracy = selection_accuracy(recipe.objective.encoder, store, recipe.task)
        finish(folder, metrics, watch, accuracy, writer)
    return accuracy


def train_values(
    data: StoreData, column: Column | None = None, most: int = MOST_FITTED
) -> tuple[Any, Tensor | None]:
    """Raw values of what is learnt from, at most so many, and where they hold data.

    Of several modalities `Senses`.

    What a control or the targets of an objective may be fitted on: the first 100,000 for controls,
    2,000 from everywhere for targets.
    """
    store, train = data.store, data.items
    chosen = train[:MOST_FITTED] if most == MOST_FITTED else train[spread(len(train), most)]
    batch = gather(store, np.asarray(chosen), None, column)
    if store.parts:
        return modality_inputs_of(batch), None
    return batch.inputs[store.meta.modality], batch.valid.get(store.meta.modality)


def build_module(recipe: Recipe, data: StoreData) -> tuple[Pretraining, StepCost]:
    """The Lightning module, its steps already counted, and what they cost."""
    objective = recipe.objective
    module = PARADIGMS[objective.paradigm](
        objective,
        views=recipe.views,
        optimiser=recipe.optimiser,
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        num_steps=None,
        seconds=recipe.budget.seconds,
        seed=recipe.seed,
    )
    price = StepCost.of(
        data, lambda step: count_flops(objective, module.make_views(data.batch(step), step))
    )
    module.num_steps = recipe.budget.num_steps(price, samples_per_step=recipe.trainer.batch_size)
    return module, price


def open_writer(
    recipe: Recipe, store: Store, folder: RunFolder, *, name: str, experiment: str, interval: float
) -> RunWriter:
    """Start the tracked run, or go on with the one in the checkpoint."""
    if folder.resumable:
        step, run_id = saved_progress(folder.checkpoint)
        return resume(run_id, step, folder=folder.path, interval=interval)
    tags = {
        names.KIND: names.Kind.PRETRAINING,
        names.PROTOCOL: recipe.facts["protocol"],
        names.IDENTITY: folder.identity,
    }
    writer = start_run(
        name,
        names.encoder_tags(recipe.facts) | tags,
        recipe.config,
        folder=folder.path,
        experiment=experiment,
        interval=interval,
    )
    writer.log_dataset(store.meta.name, store.fingerprint, store.meta.source, context="pretraining")
    writer.log_text((folder.path / "config.yaml").read_text(), "config.yaml")
    return writer


def finish(
    folder: RunFolder,
    metrics: dict[str, Any],
    watch: Watch | None,
    accuracy: float | None,
    writer: RunWriter,
) -> None:
    """Write the run's results to its folder and to the tracker."""
    step = metrics["num_steps"]
    folder.write_json("curves.json", watch.curves if watch else UNTRAINED_CURVES)
    if watch is not None:
        folder.write_json("cost.json", watch.ledger)
        writer.log_metrics(
            {names.cost(k): v for k, v in watch.ledger.items() if isinstance(v, int | float)}, step
        )
        if watch.film:
            film = json.dumps(watch.film, separators=(",", ":"), allow_nan=False)
            folder.write_text("looks.json", film + "\n")
    if accuracy is not None:
        metrics["validation_accuracy"] = accuracy
        writer.log_metrics({names.SELECTION_ACCURACY: accuracy}, step)
    if "held_out" in metrics:
        writer.log_metrics({names.VALIDATION_LOSS: metrics["held_out"]}, step)
    counts = ("flops", "samples", "items", "num_parameters")
    writer.log_metrics({names.cost(name): float(metrics[name]) for name in counts}, step)
    writer.set_tags({names.CHECKPOINT: checkpoint_hash(folder.path)})
    folder.keep_encoder(writer)
    folder.write_json(ENVIRONMENT, {"identity": folder.identity, **environment()})
    folder.write_json("metrics.json", metrics)  # the last: it says that the run is finished
    folder.keep_results(writer)
    folder.checkpoint.unlink(missing_ok=True)
