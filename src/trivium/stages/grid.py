"""What DVC sees of a grid: a file for each stage, which changes exactly when its jobs do."""

import json
from pathlib import Path
from typing import Any

from trivium.config import Config
from trivium.grid import Grid, Job
from trivium.identity import digest, measurement_settings, settings_of
from trivium.stages.multirun import write_index

STAGES = ("prepare", "pretrain", "probe", "finetune", "compare")


def main(values: Config) -> None:
    """Write which grid was chosen, and per stage what its jobs compute from.

    Where something that an index names is gone, the index goes too, so that DVC runs the stage.
    """
    grid, folder = Grid(values["grid"]), Path(values["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "choice").write_text(" ".join(values["words"]) + "\n")
    for stage in STAGES:
        write_index(folder / f"{stage}.json", wanted(grid, stage))
    grid.compositions.save()
    drop_stale(Path(values["indices"]))
    print(f"grid {grid.name}: {len(grid.cells)} cells, seeds {grid.seeds}")


def wanted(grid: Grid, stage: str) -> dict[str, Any]:
    """What each job of a stage computes from, by its name; the data are told by their index."""
    if stage == "compare":
        return {"grid": grid.name, "seeds": grid.seeds, "cells": [one.name for one in grid.cells]}
    return {job.name: _digest(stage, job) for job in grid.jobs(stage)}


def _digest(stage: str, job: Job) -> str:
    if stage == "prepare":
        return digest(job.values["data"])
    return digest((settings_of if stage == "pretrain" else measurement_settings)(job.values))


def drop_stale(folder: Path) -> None:
    """Remove the indices that name a folder which is gone."""
    for path in folder.glob("*.json"):
        named = json.loads(path.read_text())
        folders = [
            one["folder"] for one in named.values() if isinstance(one, dict) and "folder" in one
        ]
        folders += [named["report"]] if isinstance(named.get("report"), str) else []
        if not all(Path(one).is_dir() for one in folders):
            path.unlink()
