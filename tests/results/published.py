"""Fabricated reports, published."""

import json

from comparison.fabricated import fabricate_grid
from trivium.comparison.report import write_report
from trivium.results.publish import published
from trivium.results.recipes import Recipe

ENVIRONMENT = {
    "cpu": "x86_64 avx2", "cpu_model": "A", "gpu": None, "num_threads": 1, "num_cores": 2,
    "libraries": {"torch": "2.9.0", "numpy": "2.0.0"},
}  # fmt: skip


def made(cell, seed):
    """What stands for the recipe of a fabricated cell."""
    pretrain = () if cell.endswith("-raw") else (f"data={cell}", f"seed={seed}")
    return Recipe("f" * 64, "5" * 12, json.dumps({"pretrain.objective": 1}), pretrain, ("data=x",))


def report(root, *datasets, **settings):
    """Write the report of fabricated grids; the folder."""
    entries = [e for name in datasets for e in fabricate_grid(root, dataset=name, **settings)]
    write_report(entries, root / "report", commit="abc1234")
    return root / "report"


def publish(folder, grid="default", datasets=None, environment=ENVIRONMENT):
    return published(folder, grid=grid, made=made, environment=environment, datasets=datasets)
