"""Tables of tuning studies: `studies/PARADIGM-METHOD-KIND.csv`, one row per trial, best first."""

from pathlib import Path

from trivium.results.tables import plain

FOLDER = "studies"


def studies(folder: Path) -> str:
    """Every study under a heading of its own."""
    parts = []
    for path in sorted((folder / FOLDER).glob("*.csv"), key=lambda path: path.stem):
        parts += [f"## {title(path.stem)}", plain(folder / FOLDER, file=path.stem)]
    return "\n\n".join(parts)


def title(stem: str) -> str:
    """`self_supervised-simclr-text` for the eye: self_supervised/simclr on text."""
    paradigm, method, *kind = stem.split("-")
    return f"{paradigm}/{method}" + (f" on {kind[0]}" if kind else "")
