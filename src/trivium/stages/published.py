"""What DVC compares of a report: the cells' means as metrics, and curves as plots."""

import json
from pathlib import Path
from typing import Any

from trivium.stages.multirun import write_index

METRICS = "metrics.json"
PLOTS = "plots"
SHOWN = ("accuracy", "recall@5")


def write_summary(report: Path, index: Path) -> None:
    """Write `metrics.json` and `plots/` beside the index of the report, and the index itself.

    They hold nothing that differs from one time to the next, such as seconds.
    """
    cells = json.loads((report / "comparison.json").read_text())["cells"]
    shown = [cell for cell in cells if cell["split"] == "test" and cell["metric"] in SHOWN]
    write_index(index.parent / METRICS, metrics(shown))
    write_plots(shown, index.parent / PLOTS)
    write_index(index, {"report": str(report), "num_cells": len(cells)})


def metrics(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means by dataset, task and modality, objective, and probe with its share of labels."""
    found: dict[str, Any] = {}
    for cell in cells:
        place = found.setdefault(f"{cell['dataset']} {cell['task']} {cell['modality']}", {})
        name = f"{cell['probe']} {cell['metric']} {cell['fraction']:.0%}"
        place.setdefault(cell["objective"], {})[name] = round(cell["mean"], 6)
    return found


def write_plots(cells: list[dict[str, Any]], folder: Path) -> None:
    """A table of each dataset: accuracy of the linear probe along the labels, by objective."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.csv"):
        stale.unlink()
    table = pd.DataFrame(cells)
    table = table[(table["probe"] == "linear") & (table["metric"] == "accuracy")]
    for (dataset, task, modality), rows in table.groupby(["dataset", "task", "modality"]):
        rows = rows.assign(percent=100 * rows["fraction"], accuracy=rows["mean"].round(6))
        columns = ["objective", "percent", "accuracy"]
        name = f"{dataset}-{task}-{modality}.csv".replace(" ", "_").replace("+", "_")
        rows[columns].sort_values(columns[:2]).to_csv(folder / name, index=False)
