"""Compare the cells that the grid names and write the report: python pipelines/compare.py."""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from _house import clear_errors
from trivium.config import plain, register

register()
ROOT = Path(__file__).resolve().parents[1]


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
@clear_errors
def main(config: DictConfig) -> None:
    values = plain(config)
    if values["cells"] is None:
        grid: Any = OmegaConf.to_container(
            OmegaConf.load(ROOT / "conf" / "pipeline" / "default.yaml")
        )
        values |= {key: grid[key] for key in ("datasets", "cells", "seeds")}
    from trivium.comparison.report import write_report
    from trivium.tracking.lifecycle import reap
    from trivium.tracking.provenance import commit

    reap()
    folder = Path(values["report"])
    write_report(entries(values), folder, commit=commit())
    print(f"The report is in {folder / 'index.html'}")


def entries(values: dict[str, Any]) -> list[Any]:
    """Every cell and seed of the grid, and the raw input of every dataset."""
    from trivium.comparison.records import Entry
    from trivium.probes.protocol import read_evaluation
    from trivium.tracking.lifecycle import find_run

    probes, runs = Path(values["probes"]), Path(values["runs"])
    names: list[tuple[str, int, str, Path | None]]
    names = [(f"{dataset}-raw", 0, f"{dataset}-raw", None) for dataset in values["datasets"]]
    names += [
        (cell, seed, f"{cell}-{seed}", runs / f"{cell}-{seed}")
        for cell in values["cells"]
        for seed in values["seeds"]
    ]
    found = []
    for cell, seed, name, run in names:
        run_id = find_run({"checkpoint": read_evaluation(probes / name).checkpoint})
        found.append(Entry(cell, seed, probes / name, run, run_id))
    return found


if __name__ == "__main__":
    main()
