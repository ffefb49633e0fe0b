"""Tuning studies as data: `studies/PARADIGM-METHOD-KIND.csv`, one row per trial, best first."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from trivium.io import write_text
from trivium.results.files import ENVIRONMENT, read_environment
from trivium.results.tables import plain

FOLDER = "studies"


def studies(folder: Path) -> str:
    """Every study under a heading of its own."""
    parts = []
    for path in sorted((folder / FOLDER).glob("*.csv"), key=lambda path: path.stem):
        parts += [f"## {title(path.stem)}", plain(folder / FOLDER, file=path.stem)]
    return "\n\n".join(parts)


def title(stem: str) -> str:
    """The heading of `self_supervised-simclr-text`: self_supervised/simclr on text."""
    paradigm, method, *kind = stem.split("-")
    return f"{paradigm}/{method}" + (f" on {kind[0]}" if kind else "")


def take(source: Path, results: Path, paradigms: Mapping[str, str], *, commit: str) -> list[str]:
    """Take studies over as data that bear the commit they were measured at.

    Args:
        source: Holds a Markdown table METHOD.md or METHOD-KIND.md of each study.
        results: The set's folder.
        paradigms: By method.
        commit: The code's.

    Returns:
        The names of the studies that are new or differ from what was there.
    """
    taken = []
    for path in sorted(source.glob("*.md")):
        method, *kind = path.stem.split("-")
        if method not in paradigms:
            continue
        name = "-".join([paradigms[method], method, *kind])
        target, text = results / FOLDER / f"{name}.csv", _as_csv(path.read_text(encoding="utf-8"))
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write_text(target, text)
            taken.append(name)
    if taken:
        _sign(results, taken, commit)
    return taken


def _as_csv(table: str) -> str:
    """A Markdown table as CSV."""
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    heads, _, *rows = [[text.strip() for text in line] for line in lines]
    text: str = pd.DataFrame(rows, columns=heads).to_csv(index=False, lineterminator="\n")
    return text


def _sign(results: Path, taken: list[str], commit: str) -> None:
    """Note the commit of the studies, which belong to no other part any more."""
    document = read_environment(results)
    kept = {}
    for part, facts in document["parts"].items():
        if left := [name for name in facts["studies"] if name not in taken]:
            kept[part] = {**facts, "studies": left}
    document["parts"] = kept | {commit: {"commits": [commit], "studies": taken}}
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    write_text(results / ENVIRONMENT, text + "\n")
