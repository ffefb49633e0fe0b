"""Lightning's trainer as everything here uses it."""

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

from trivium.pretraining.data import StoreData
from trivium.pretraining.module import Pretraining
from trivium.pretraining.settings import TrainerSettings


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
