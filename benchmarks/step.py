"""End to end over the pure step: what data, views, Lightning and logging cost.

Command: python benchmarks/step.py [--grid default] [--steps 60] [--turns 5] [--set ...]

For each cell of pictures, interleaved: the pure training step on ready tensors (forward, backward,
optimiser), and the same number of steps through Lightning with data, views, recording and the
cost ledger; what runs at a few steps only (online probe, pictures, checkpoints) is left out. Prints
images per second of both and their ratio (median over the turns); the goal is at least 0.90.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from hydra import initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from trivium.compose import grid_values
from trivium.config import decided, prune, without_numerics
from trivium.grid import Grid
from trivium.stages.pretrain import optimiser, views_of

ROOT = Path(__file__).resolve().parents[1]


def cells(name: str, overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The values of each cell of pictures that trains, of a grid."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        grid = Grid(grid_values(name, overrides))
        found = {cell.name: dict(grid.run(cell, 0).values) for cell in grid.cells}
    return {
        name: without_numerics(prune(values))
        for name, values in found.items()
        if values["data"]["modality"] == "image"
        and ".control." not in values["objective"]["_target_"]
    }


class Cell:
    """One cell, once as a module to be stepped by hand and once through Lightning."""

    def __init__(self, values: dict[str, Any], num_steps: int) -> None:
        from trivium.data.prepare import prepare
        from trivium.training.datamodule import StoreData
        from trivium.training.module import TrainingModule
        from trivium.training.settings import TrainerSettings

        self.num_steps = num_steps
        self.settings = TrainerSettings(**decided(values["trainer"]))
        if self.settings.num_threads is not None:
            torch.set_num_threads(self.settings.num_threads)
        self.store = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
        torch.manual_seed(0)
        task = self.store.task(values["task"]) if self.store.meta.tasks else None
        spec = self.store.spec(task)
        encoder = instantiate(values["encoder"], data=spec)
        objective = instantiate(values["objective"], encoder=encoder, data=spec)
        self.data = StoreData(self.store, batch_size=self.settings.batch_size, seed=0, task=task)
        self.module = TrainingModule(
            objective,
            views=views_of(values),
            optimiser=optimiser(values["optimizer"]),
            schedule=instantiate(values["schedule"]),
            weight_decay=values["optimizer"]["weight_decay"],
            num_steps=num_steps,
            seed=0,
        )
        self.views = self.module.make_views(self.data.batch(0), 0)

    def pure(self) -> float:
        """Seconds of the steps on ready tensors."""
        objective, clip = self.module.objective, self.settings.gradient_clip
        optimiser = self.module.configure_optimizers()
        dtype, enabled = torch.bfloat16, self.settings.precision == "bf16-mixed"
        started = time.perf_counter()
        for _ in range(self.num_steps):
            optimiser.zero_grad()
            with torch.autocast("cpu", dtype, enabled=enabled):
                loss = objective(self.views)["loss"]
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(objective.parameters(), clip)
            optimiser.step()
        return time.perf_counter() - started

    def whole(self, folder: Path) -> float:
        """Seconds of the steps within a trainer's loop, with all that runs at each step."""
        import pytorch_lightning as lightning

        from trivium.tracking.run import start_run
        from trivium.training.budget import StepCost
        from trivium.training.callbacks.metric_logger import MetricLogger, Throughput
        from trivium.training.trainer import process_environment

        clock = Clock()
        with start_run("benchmark", {}, {}, folder=folder) as writer:
            recorder = MetricLogger(
                every=20, step_cost=StepCost(lambda _: 1), samples_per_step=1, writer=writer
            )
            cost = Throughput(stream=self.data.stream, batch_size=self.settings.batch_size)
            trainer = lightning.Trainer(
                accelerator="cpu",
                precision=self.settings.precision,  # type: ignore[arg-type]
                max_steps=self.num_steps,
                max_epochs=-1,
                gradient_clip_val=self.settings.gradient_clip,
                callbacks=[cost, recorder, clock.callback()],
                plugins=[process_environment()],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(self.module, datamodule=self.data)
        return clock.seconds


class Clock:
    """Measures from the start of training to its end: set-up of the trainer is not a step."""

    seconds = 0.0

    def callback(self) -> Any:
        """The Lightning callback."""
        import pytorch_lightning as lightning

        clock = self

        class Watch(lightning.Callback):
            def on_train_start(self, *_: Any) -> None:
                clock.seconds = -time.perf_counter()

            def on_train_end(self, *_: Any) -> None:
                clock.seconds += time.perf_counter()

        return Watch()


def main() -> None:
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", default="default")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], help="overrides of the grid")
    args = parser.parse_args()
    table = Table(
        "cell", "pure step, images/s", "end to end, images/s", "ratio", title="training step"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        for name, values in cells(args.grid, args.set).items():
            cell = Cell(values, args.steps)
            cell.pure(), cell.whole(Path(folder) / "warm")
            turns = [
                (cell.pure(), cell.whole(Path(folder) / f"{name}{turn}"))
                for turn in range(args.turns)
            ]
            images = args.steps * cell.settings.batch_size
            pure, whole = (
                images / statistics.median(column) for column in zip(*turns, strict=True)
            )
            ratio = statistics.median(first / second for first, second in turns)
            table.add_row(name, f"{pure:.0f}", f"{whole:.0f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
