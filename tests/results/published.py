"""Fabricated reports, published."""

import json

from report.fabricated import fabricate_grid
from trivium.report.report import document
from trivium.report.sections import assemble
from trivium.results.publish import published
from trivium.results.verify import Rerun

ENVIRONMENT = {
    "cpu": "x86_64 avx2", "cpu_model": "A", "gpu": None, "num_threads": 1, "num_cores": 2,
    "libraries": {"torch": "2.9.0", "numpy": "2.0.0"},
}  # fmt: skip


def made(cell, seed):
    """What stands for the recipe of a fabricated cell."""
    pretrain = () if cell.endswith("-raw") else (f"data={cell}", f"seed={seed}")
    return Rerun("f" * 64, "5" * 12, json.dumps({"pretrain.objective": 1}), pretrain, ("data=x",))


def report(root, *datasets, **settings):
    """What publishing reads of the report of fabricated grids; the folder."""
    return compare(
        root, [e for name in datasets for e in fabricate_grid(root, dataset=name, **settings)]
    )


def compare(root, entries):
    """Of a report `comparison.json` alone."""
    folder = root / "report"
    folder.mkdir(parents=True)
    found = document(assemble(entries, commit="abc1234"))
    (folder / "comparison.json").write_text(json.dumps(found))
    return folder


def publish(folder, grid="default", datasets=None, environment=ENVIRONMENT):
    return published(folder, grid=grid, made=made, environment=environment, datasets=datasets)
