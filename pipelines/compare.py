"""Compare the cells that the grid names, or tracked runs: python pipelines/compare.py."""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from _compose import compared, parts_of, read_grid
from _house import clear_errors
from trivium.config import plain, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
@clear_errors
def main(config: DictConfig) -> None:
    values = plain(config)
    if values["cells"] is None and values["runs"] is None:
        values |= compared(read_grid(values["grid"]))
    from trivium.comparison.ladder import write_ladder
    from trivium.comparison.printing import print_figures
    from trivium.comparison.report import write_report
    from trivium.tracking.lifecycle import reap
    from trivium.tracking.provenance import commit

    reap()
    folder = Path(values["report"])
    found = addressed(entries(values) if values["runs"] is None else tracked_entries(values))
    if values["rungs"]:
        write_ladder(found, folder, commit=commit())
    else:
        write_report(found, folder, commit=commit(), stores=Path(values["stores"]))
        print_figures(folder / "figures")
    print(f"The report is in {folder / 'index.html'}")


def entries(values: dict[str, Any]) -> list[Any]:
    """Every cell and seed of the grid, its fine-tuning if there is, and every raw input."""
    from trivium.comparison.records import Entry
    from trivium.probes.protocol import read_evaluation
    from trivium.tracking import names
    from trivium.tracking.lifecycle import find_run

    folders = [Path(folder) for folder in values["folders"]]
    places = [(f"{dataset}-raw", 0, f"{dataset}-raw", False) for dataset in values["datasets"]]
    places += [
        (cell, seed, f"{cell}-{seed}", True) for cell in values["cells"] for seed in values["seeds"]
    ]
    found = []
    for cell, seed, name, trained in places:
        known = [folder for folder in folders if (folder / "probes" / name).is_dir()]
        folder = known[0] if known else folders[0]
        probe, run = folder / "probes" / name, folder / "runs" / name if trained else None
        # Of several modalities there is a folder of each evaluation.
        for each in sorted(path.parent for path in probe.glob("*/probe.json")) or [probe]:
            # Seeds that change nothing give the same checkpoint.
            evaluation = read_evaluation(each)
            tags = {names.CHECKPOINT: evaluation.checkpoint, names.SEED: evaluation.facts["seed"]}
            run_id = find_run(tags)
            found.append(Entry(cell, seed, each, run, run_id, variant=parts_of(cell)[2]))
        tuned = folder / "finetuned" / name
        if cell in (values["finetuned"] or ()) and tuned.is_dir():
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


if __name__ == "__main__":
    main()
