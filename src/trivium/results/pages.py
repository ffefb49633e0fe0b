"""Markdown pages whose tables and figures come from published results.

A page marks them by comments, which a reader of the page does not see:

    <!-- results:0.1/answer:begin -->
    (a table)
    <!-- results:0.1/answer:end -->

    ... reaches <!-- value:0.1 dataset=wordnet objective=gpt fraction=1 -->38.2 %<!-- end --> ...

`SET/TABLE KEY=VALUE ...` names a folder of docs/results and one of `trivium.results.tables`, a
value one cell of a set by its columns (the linear probe's accuracy on test items if nothing else is
said; without `fraction` those of every share of labels; `show=interval` adds the interval), or
`note=NAME` a row of its `notes.csv`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from trivium.report.scores import is_share
from trivium.report.tables import figure
from trivium.results.files import CELLS, ENVIRONMENT, FLOATS, read_table
from trivium.results.studies import studies
from trivium.results.tables import RENDERERS

BLOCK = re.compile(
    r"(?P<begin><!-- results:(?P<name>[^>]+?):begin -->)(?P<body>.*?)"
    r"(?P<end><!-- results:(?P<again>[^>]+?):end -->)",
    re.DOTALL,
)
VALUE = re.compile(
    r"(?P<begin><!-- value:(?P<name>[^>]+?) -->)(?P<body>[^<]*)(?P<end><!-- end -->)"
)
MARK = re.compile(r"<!-- (?:results|value):.*?-->|<!-- end -->")
VERSION = re.compile(r"\d+(\.\d+)+")
USUAL = {"probe": "linear", "split": "test", "metric": "accuracy"}
"""What a value is of if nothing else is said."""
TABLES: dict[str, Callable[..., str]] = {**RENDERERS, "studies": studies}


def filled(text: str, results: Path) -> str:
    """A page with every marked table and figure made anew.

    Args:
        text: The page.
        results: The folder of the sets.

    Raises:
        ValueError: A mark is broken, or asks for what is not there.
    """
    _check(text)
    text = BLOCK.sub(lambda found: _block(found, results), text)
    return VALUE.sub(
        lambda found: found["begin"] + value(found["name"], results) + found["end"], text
    )


def value(name: str, results: Path) -> str:
    """One figure of a set, with its unit.

    Raises:
        ValueError: There is no such figure, or more than one.
    """
    named, chosen = _asked(name)
    folder = results / named
    if not _is_published(folder):
        return "not measured yet"
    if "note" in chosen:
        notes = read_table(folder / "notes").set_index("note")["text"]
        if chosen["note"] not in notes:
            raise ValueError(f"{folder / 'notes.csv'} has no note {chosen['note']!r}")
        return str(notes[chosen["note"]])
    return _figure(read_table(folder / "cells"), name, chosen)


def _figure(cells: pd.DataFrame, name: str, chosen: dict[str, str]) -> str:
    """The cell that is asked for; without a fraction those of all, from few labels to many."""
    show = chosen.pop("show", "mean")
    for key, wanted in {**USUAL, **chosen}.items():
        if key not in CELLS:
            raise ValueError(f"value:{name} asks by {key}, expected one of {', '.join(CELLS)}")
        cells = cells[cells[key] == (float(wanted) if key in FLOATS else wanted)]
    if cells.empty or cells.duplicated("fraction").any():
        raise ValueError(f"value:{name} matches {len(cells)} cells, expected one of each fraction")
    found = cells.sort_values("fraction").to_dict("records")
    texts = []
    for cell in found:
        mean, low, high = (figure(cell[key], cell["metric"]) for key in ("mean", "low", "high"))
        texts.append(f"{mean} [{low}, {high}]" if show == "interval" else mean)
    return " / ".join(texts) + (" %" if is_share(found[0]["metric"]) else "")


def _block(found: re.Match[str], results: Path) -> str:
    named, _, asked = found["name"].partition("/")
    table, chosen = _asked(asked)
    if table not in TABLES:
        raise ValueError(f"results:{found['name']} is no table; known: {', '.join(TABLES)}")
    folder = results / named
    if _is_published(folder):
        body = TABLES[table](folder, **chosen)
    else:
        body = f"Version {named} has not been measured yet."
    return f"{found['begin']}\n\n{body.strip()}\n\n{found['end']}"


def _is_published(folder: Path) -> bool:
    """Whether there is such a set; a version may be still to come, anything else may not."""
    found = (folder / ENVIRONMENT).is_file()
    if not found and not VERSION.fullmatch(folder.name):
        raise ValueError(f"there are no results called {folder.name!r} in {folder.parent}")
    return found


def _asked(text: str) -> tuple[str, dict[str, str]]:
    """`NAME KEY=VALUE ...`; a value may hold spaces."""
    name, *rest = re.split(r"\s+(?=[a-z_]+=)", text.strip())
    return name, dict(one.split("=", 1) for one in rest)


def _check(text: str) -> None:
    blocks = list(BLOCK.finditer(text))
    for found in blocks:
        if found["name"] != found["again"]:
            raise ValueError(f"results:{found['name']} begins, but results:{found['again']} ends")
    left = MARK.search(VALUE.sub("", BLOCK.sub("", text)))
    if left:
        raise ValueError(f"{left[0]} has no counterpart")


def changed(pages: Mapping[Path, str], results: Path) -> dict[Path, str]:
    """The pages that are not what the results say, as they should be.

    Raises:
        ValueError: A mark is broken, or asks for what is not there; the page is named.
    """
    found = {}
    for path, text in pages.items():
        try:
            wanted = filled(text, results)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if wanted != text:
            found[path] = wanted
    return found
