"""The report's files: pages, `comparison.json`, Markdown tables and exports, written atomically."""

import json
from collections.abc import Sequence
from pathlib import Path

from trivium.io import write_text
from trivium.report.export import for_paper
from trivium.report.html import pages
from trivium.report.records import Entry, Measured
from trivium.report.sections import Report, assemble
from trivium.report.summary import as_markdown, results


def write_report(
    entries: Sequence[Entry], folder: Path, *, commit: str, stores: Path | None = None
) -> Report:
    """Compare what the grid's probe folders hold, write the report and return it.

    Args:
        entries: each pretraining run and control of the grid, once per task.
        folder: where `index.html`, a page of each dataset, `comparison.json`, `report.md`,
            `results.md`, and the folders `tables` and `figures` go.
        commit: the code's version, shown on the page.
        stores: where the datasets lie; without them classes are called by their numbers.

    Raises:
        ValueError: if a probe folder is missing or broken, or if they cannot be compared; see
            `read_entries` and `group`.
    """
    report = assemble(entries, commit=commit, stores=stores)
    write_text(folder / "comparison.json", json.dumps(document(report), indent=1, allow_nan=False))
    write_text(folder / "report.md", as_markdown(report))
    write_text(folder / "results.md", results(report))
    for name, text in (pages(report) | for_paper(report)).items():
        write_text(folder / name, text)
    return report


def document(report: Report) -> dict[str, object]:
    """The content of `comparison.json`; comparisons within a stratum name it in their metric."""
    found = [section.retrieval for section in report.sections if section.retrieval]
    within = [pair for one in found if one.strata for pair in one.strata.verdicts]
    return {
        "protocol": report.protocol,
        "commit": report.commit,
        "runs": [_origin(one) for one in report.examined],
        "records": report.records,
        "cells": [one.row() for one in report.scores],
        "comparisons": [one.row() for one in (*report.comparisons, *within)],
    }


def _origin(one: Measured) -> dict[str, object]:
    """What was examined and where it lies, seen from where the report was made."""
    run = one.entry.run_folder
    return {
        **one.facts._asdict(),
        "cell": one.entry.cell,
        "run": run.as_posix() if run else None,
        "probe": one.entry.probe_folder.as_posix(),
        "commit": one.entry.commit,
    }
