"""Lightning's trainer as everything here uses it."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

from trivium.pretraining.data import StoreData
from trivium.pretraining.module import Pretraining
from trivium.pretraining.settings import TrainerSettings


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
        plugins=[*plugins],
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
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return int(trainer.global_step)
