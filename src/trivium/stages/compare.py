"""Compare the cells that a grid names, or tracked runs, and write the report."""

from pathlib import Path
from typing import Any


def main(values: dict[str, Any]) -> None:
    """Write the report of a grid whose stages are finished, or of the runs of a filter."""
    from trivium.comparison.ladder import write_ladder
    from trivium.comparison.printing import print_figures
    from trivium.comparison.report import write_report
    from trivium.tracking.lifecycle import reap
    from trivium.tracking.provenance import commit

    reap()
    folder = report_folder(values)
    if values["runs"] is None:
        from trivium.grid import Grid

        grid = Grid(values["grid"])
        found = addressed(entries(grid))
        grid.compositions.save()
        scaling = grid.report == "scaling"
    else:
        found, scaling = addressed(tracked_entries(values)), False
    if scaling:
        write_ladder(found, folder, commit=commit())
    else:
        write_report(found, folder, commit=commit(), stores=Path(values["stores"]))
        print_figures(folder / "figures")
    if values["index"] is not None:
        from trivium.stages.published import write_summary

        write_summary(folder, Path(values["index"]))
    print(f"The report is in {folder / 'index.html'}")


def report_folder(values: dict[str, Any]) -> Path:
    """Where the report goes: as given, else named by the grid."""
    if values["report"]:
        return Path(values["report"])
    name = values["grid"]["name"]
    return Path("outputs/report" if name == "default" else f"outputs/report-{name}")


def entries(grid: Any) -> list[Any]:
    """Every cell and seed of a grid, its fine-tuning if there is, and every raw input.

    Raises:
        LookupError: something of it is not measured yet.
    """
    from trivium.comparison.records import Entry
    from trivium.probes.protocol import read_evaluation
    from trivium.tracking import names
    from trivium.tracking.lifecycle import find_run

    found = []
    for cell, point, seed, run, probes, tuned in grid.report_entries():
        # Of several modalities or tasks there is a folder of each evaluation.
        folders = [
            each
            for probe in probes
            for each in (sorted(path.parent for path in probe.glob("*/probe.json")) or [probe])
        ]
        for each in folders:
            # Seeds that change nothing give the same checkpoint.
            evaluation = read_evaluation(each)
            tags = {names.CHECKPOINT: evaluation.checkpoint, names.SEED: evaluation.facts["seed"]}
            found.append(Entry(cell, seed, each, run, find_run(tags), variant=point))
        if tuned is not None:
            found.append(found[-1]._replace(probe_folder=tuned))
    return found


def addressed(found: list[Any]) -> list[Any]:
    """The entries with the experiments of their runs and the commits of the code that ran."""
    from trivium.tracking.addresses import addresses

    known = addresses(entry.run_id for entry in found if entry.run_id)
    return [
        entry._replace(**known[entry.run_id]._asdict()) if entry.run_id else entry
        for entry in found
    ]


def tracked_entries(values: dict[str, Any]) -> list[Any]:
    """Every evaluation of the runs that match a filter, wherever they were run."""
    from trivium.comparison.selection import selected
    from trivium.tracking.reading import search

    return selected(search(values["runs"], values["experiments"]))
