"""Lightning's trainer as everything here uses it, and the callbacks that a pretraining has."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from lightning_fabric.plugins.environments import (  # type: ignore[attr-defined]
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from trivium.tracking import names
from trivium.tracking.run import install_sigterm
from trivium.tracking.writer import RunWriter
from trivium.training.budget import Budget, StepCost, count_flops
from trivium.training.callbacks.collapse_monitor import CollapseMonitor
from trivium.training.callbacks.language import LanguageMeasures, is_language_model
from trivium.training.callbacks.metric_logger import NUM_POINTS, MetricLogger, Throughput
from trivium.training.callbacks.online_probe import OnlineProbe, Snapshots
from trivium.training.callbacks.progress import ProgressBar
from trivium.training.callbacks.reconstructions import Reconstructions
from trivium.training.datamodule import StoreData
from trivium.training.folder import PICTURES, AtomicCheckpointIO, Resumable, RunFolder
from trivium.training.module import TrainingModule
from trivium.training.settings import PretrainingRun, TrainerSettings


def train(
    module: TrainingModule,
    run: PretrainingRun,
    data: StoreData,
    folder: RunFolder,
    *,
    step_cost: StepCost,
    writer: RunWriter,
) -> dict[str, Any]:
    """Train to the end of the budget, from the folder's checkpoint if there is one.

    Curves, costs and snapshots go to the folder.

    Returns:
        The number of steps, the final terms of the loss, and the measures of a language model.
    """
    settings, monitor, text = run.trainer, run.monitor, data.store.meta.modality == "text"
    throughput = Throughput(stream=data.stream, batch_size=settings.batch_size)
    logger = MetricLogger(
        every=max(1, -(-module.num_steps // NUM_POINTS)) if module.num_steps else 10,
        step_cost=step_cost,
        samples_per_step=settings.batch_size,
        writer=writer,
        tokens=data.tokens if text else None,
    )
    probe = OnlineProbe(
        store=data.store,
        task=run.task,
        num_items=monitor.num_items,
        num_glances=monitor.num_glances,
        seed=0,
        writer=writer,
    )
    snapshots = Snapshots(probe=probe, step_cost=step_cost)
    language = LanguageMeasures(store=data.store, writer=writer)
    callbacks: list[lightning.Callback] = [
        throughput,
        logger,
        probe,
        snapshots,
        CollapseMonitor(logger=logger, probe=probe, **monitor.sentinels),
        ProgressBar(label=folder.path.name, batch_size=settings.batch_size),
    ]
    if is_language_model(run.objective):
        callbacks.append(language)
    if monitor.pictures:
        callbacks.append(Reconstructions(folder.path / PICTURES, probe=probe, writer=writer))
    install_sigterm(writer)
    resumable = Resumable(
        path=folder.checkpoint,
        seconds=settings.checkpoint_seconds,
        steps=settings.checkpoint_steps,
        run_id=writer.run_id,
    )
    checkpoint = folder.checkpoint if folder.resumable else None
    num_steps = fit(module, data, settings, [*callbacks, resumable], checkpoint=checkpoint)

    curves = {**logger.curves(), "monitor": probe.history}
    final = {name: values[-1] for name, values in logger.terms.items() if values}
    measured = {"num_steps": num_steps, "final": final}
    if language.history:
        curves["language"], measured["language"] = language.curves(), language.last()
    costs = throughput.costs()
    folder.write_json("curves.json", curves)
    folder.write_json("cost.json", costs)
    if (maps := snapshots.maps()) is not None:
        folder.write_json("looks.json", maps, compact=True)
    numbers = {names.cost(k): v for k, v in costs.items() if isinstance(v, int | float)}
    writer.log_metrics(numbers, num_steps)
    return measured


def fit(
    module: TrainingModule,
    data: StoreData,
    settings: TrainerSettings,
    callbacks: Sequence[lightning.Callback],
    *,
    checkpoint: Path | None = None,
) -> int:
    """Train to the end of the module's steps, from a checkpoint if there is one; their number."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]
        max_steps=-1 if module.num_steps is None else module.num_steps,
        max_epochs=-1,
        gradient_clip_val=settings.gradient_clip,
        callbacks=[*callbacks],
        plugins=[AtomicCheckpointIO(), process_environment()],
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
    )
    with warnings.catch_warnings():
        # Views are made by the module, on purpose; and Lightning uses a deprecated torch function.
        warnings.filterwarnings("ignore", "You have overridden `on_after_batch_transfer`")
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")
        # Looking for a requeued job's checkpoint, `fit` asks again whether SLURM started it.
        warnings.filterwarnings("ignore", "The `srun` command is available")
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return int(trainer.global_step)


def apply_budget(budget: Budget, module: TrainingModule, data: StoreData) -> StepCost:
    """Set when the module's training ends; returns the FLOPs of its steps.

    Raises:
        ValueError: if the budget does not buy a step.
    """
    step_cost = StepCost(
        lambda step: count_flops(module.objective, module.make_views(data.batch(step), step)),
        data.size,
    )
    module.seconds = budget.seconds
    module.num_steps = budget.num_steps(step_cost, samples_per_step=data.batch_size)
    return step_cost


def process_environment() -> ClusterEnvironment:
    """How this process learns its rank: `torchrun`, the tasks of one SLURM job, or alone.

    Lightning's own choice warns wherever `srun` is installed and not used, and would take a job of
    one task for a distributed run.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()
