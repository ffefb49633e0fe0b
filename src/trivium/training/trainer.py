"""Lightning's trainer as everything here uses it, and the callbacks that a pretraining has."""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as lightning
from lightning_fabric.plugins.environments import (  # type: ignore[attr-defined]
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from trivium.tracking.run import install_sigterm
from trivium.tracking.writer import RunWriter
from trivium.training.budget import StepCost
from trivium.training.callbacks.collapse_monitor import CollapseMonitor
from trivium.training.callbacks.language import LanguageMeasures, is_language_model
from trivium.training.callbacks.metric_logger import NUM_POINTS, MetricLogger, Throughput
from trivium.training.callbacks.online_probe import OnlineProbe, Snapshots
from trivium.training.callbacks.progress import ProgressBar
from trivium.training.callbacks.reconstructions import Reconstructions
from trivium.training.datamodule import StoreData
from trivium.training.folder import AtomicCheckpointIO, Resumable, RunFolder
from trivium.training.module import Pretraining
from trivium.training.settings import TrainerSettings

if TYPE_CHECKING:
    from trivium.training.run import Recipe


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


def run_trainer(
    module: Pretraining,
    data: StoreData,
    settings: TrainerSettings,
    callbacks: Sequence[lightning.Callback],
    *,
    plugins: Sequence[Any] = (),
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
        plugins=[*plugins, process_environment()],
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


@dataclass(frozen=True)
class Watch:
    """What was seen of a training that ended; `language`: a language model's last measures.

    `film`: what each look of the online probe saw, see `Looks.film`.
    """

    num_steps: int
    final: dict[str, float]
    curves: dict[str, Any]
    language: dict[str, float] | None
    ledger: dict[str, Any]
    film: dict[str, Any] | None


def fit(
    module: Pretraining,
    recipe: "Recipe",
    data: StoreData,
    folder: RunFolder,
    *,
    price: StepCost,
    writer: RunWriter,
) -> Watch:
    """Train to the end of the budget, from the folder's checkpoint if there is one."""
    settings, monitor = recipe.trainer, recipe.monitor
    cost = Throughput(stream=data.stream, batch_size=settings.batch_size)
    recorder = MetricLogger(
        every=max(1, -(-module.num_steps // NUM_POINTS)) if module.num_steps else 10,
        price=price,
        samples_per_step=settings.batch_size,
        writer=writer,
        tokens=data.tokens if data.store.meta.modality == "text" else None,
    )
    probe = OnlineProbe(
        store=data.store,
        task=recipe.task,
        num_items=monitor.num_items,
        num_glances=monitor.num_glances,
        seed=0,
        writer=writer,
    )
    sentinels = CollapseMonitor(recorder=recorder, probe=probe, **vars(monitor.sentinels))
    bar = ProgressBar(label=folder.path.name, batch_size=settings.batch_size)
    resumable = Resumable(
        path=folder.checkpoint,
        seconds=settings.checkpoint_seconds,
        steps=settings.checkpoint_steps,
        run_id=writer.run_id,
    )
    looks = Snapshots(probe=probe, price=price)
    watchers: list[lightning.Callback] = [cost, recorder, probe, looks, sentinels, bar]
    language = None
    if is_language_model(recipe.objective):
        language = LanguageMeasures(probe=probe, writer=writer)
        watchers.append(language)
    if monitor.pictures:
        watchers.append(
            Reconstructions(folder=folder.path / "pictures", probe=probe, writer=writer)
        )
    install_sigterm(writer)
    num_steps = run_trainer(
        module,
        data,
        settings,
        [*watchers, resumable],
        plugins=[AtomicCheckpointIO()],
        checkpoint=folder.checkpoint if folder.resumable else None,
    )
    curves = {**recorder.curves(), "monitor": probe.history}
    if language is not None:
        curves["language"] = language.curves()
    return Watch(
        num_steps=num_steps,
        final={name: values[-1] for name, values in recorder.terms.items() if values},
        curves=curves,
        language=None if language is None else language.last(),
        ledger=cost.ledger(),
        film=looks.film(),
    )
