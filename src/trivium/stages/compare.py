"""Compare the cells that a grid names, or tracked runs; write report, metrics and plots."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.config import Config
from trivium.grid import Grid
from trivium.stages.multirun import write_index

if TYPE_CHECKING:
    from trivium.report.records import Entry

METRICS = "metrics.json"
PLOTS = "plots"
SHOWN = ("accuracy", "recall@5")
PROBES = ("linear", "finetune", "retrieval")
"""The metrics and the probes that DVC compares: few enough for a terminal."""


def main(values: Config) -> None:
    """Write the report of a grid whose stages are finished, or of the runs of a filter."""
    from trivium.report.export_figures import print_figures
    from trivium.report.report import write_report
    from trivium.report.scaling_page import write_ladder
    from trivium.tracking.run import commit, reap

    reap()
    folder, scaling = report_folder(values), False
    if values["runs"] is None:
        grid = Grid(values["grid"])
        found = with_addresses(entries(grid))
        grid.compositions.save()
        scaling = grid.report == "scaling"
    else:
        found = with_addresses(tracked_entries(values["runs"], values["experiments"]))
    if scaling:
        write_ladder(found, folder, commit=commit())
    else:
        report = write_report(found, folder, commit=commit(), stores=Path(values["stores"]))
        print_figures(report, folder / "figures")
    if values["index"] is not None:
        write_summary(folder, Path(values["index"]))
    print(f"The report is in {folder / 'index.html'}")


def report_folder(values: Config) -> Path:
    """Where the report goes: as given, else named by the grid."""
    name = values["grid"]["name"]
    return Path(values["report"] or f"outputs/report{'' if name == 'default' else f'-{name}'}")


def entries(grid: Grid) -> "list[Entry]":
    """Every cell and seed of a grid, its fine-tuning if there is, and every raw input.

    Raises:
        LookupError: something of it is not measured yet.
    """
    from trivium.evaluation.results import read_evaluation
    from trivium.report.records import Entry
    from trivium.tracking import names
    from trivium.tracking.run import find_run

    found: list[Entry] = []
    for cell, point, seed, run, probes, tuned in grid.report_entries():
        # Of several modalities or tasks there is a folder of each evaluation.
        for probe in probes:
            for folder in sorted(path.parent for path in probe.glob("*/probe.json")) or [probe]:
                # Seeds that change nothing give the same checkpoint.
                evaluation = read_evaluation(folder)
                own = evaluation.facts[names.SEED]
                run_id = find_run({names.CHECKPOINT: evaluation.checkpoint, names.SEED: own})
                found.append(Entry(cell, seed, folder, run, run_id, variant=point))
        if tuned is not None:
            found.append(found[-1]._replace(probe_folder=tuned))
    return found


def tracked_entries(runs: str, experiments: Sequence[str] | None) -> "list[Entry]":
    """Every evaluation of the runs that match a filter, wherever they were run."""
    from trivium.report.provenance import selected
    from trivium.tracking.query import search

    return selected(search(runs, experiments))


def with_addresses(found: "list[Entry]") -> "list[Entry]":
    """The entries with the experiments of their runs and the commits of the code that ran."""
    from trivium.tracking.client import addresses

    known = addresses(entry.run_id for entry in found if entry.run_id)
    return [
        entry._replace(**known[entry.run_id]._asdict()) if entry.run_id else entry
        for entry in found
    ]


def write_summary(report: Path, index: Path) -> None:
    """Write `metrics.json` and `plots/` beside the index of the report, and the index itself.

    They hold nothing that differs from one time to the next, such as seconds.
    """
    cells = json.loads((report / "comparison.json").read_text())["cells"]
    shown = [
        cell
        for cell in cells
        if cell["split"] == "test" and cell["metric"] in SHOWN and cell["probe"] in PROBES
    ]
    write_index(index.parent / METRICS, metrics(shown))
    write_plots(shown, index.parent / PLOTS)
    write_index(index, {"report": str(report), "num_cells": len(cells)})


def metrics(cells: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means by dataset, task and modality, objective, and probe with its share of labels."""
    found: dict[str, dict[str, dict[str, float]]] = {}
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
    table = pd.DataFrame(cells).query("probe == 'linear' and metric == 'accuracy'")
    table = table.assign(percent=100 * table["fraction"], accuracy=table["mean"].round(6))
    columns = ["objective", "percent", "accuracy"]
    for place, rows in table.groupby(["dataset", "task", "modality"]):
        name = "-".join(place).replace(" ", "_").replace("+", "_")
        rows[columns].sort_values(columns[:2]).to_csv(folder / f"{name}.csv", index=False)
