"""Where numbers come from: the tracked run and the code behind each row."""

from collections.abc import Sequence
from typing import NamedTuple

from trivium.comparison.cells import Cell
from trivium.comparison.records import Facts, Measured
from trivium.comparison.tables import Row

UI = "http://127.0.0.1:5000"
"""Where `make ui` serves."""
NOTE = "Links open where `make ui` serves the tracking store."

Way = tuple[str, str, str, str, str, str]
"""Dataset, task, modality, paradigm, objective and encoder: what a row is of."""


class Origin(NamedTuple):
    """The tracked run of one seed and the commit of the code that it ran; None if unknown."""

    seed: int
    run_id: str | None
    experiment_id: str | None
    commit: str | None

    @property
    def link(self) -> str | None:
        """The run's page in the UI."""
        if self.run_id is None or self.experiment_id is None:
            return None
        return f"{UI}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def origins(measured: Sequence[Measured]) -> dict[Way, tuple[Origin, ...]]:
    """The runs behind each row, by seed."""
    found: dict[Way, set[Origin]] = {}
    for one in measured:
        entry = one.entry
        origin = Origin(one.facts.seed, entry.run_id, entry.experiment_id, entry.commit)
        found.setdefault(way(one.facts), set()).add(origin)
    return {key: tuple(sorted(mine, key=lambda one: one.seed)) for key, mine in found.items()}


def way(one: Facts | Cell) -> Way:
    """What a row of these facts is of."""
    return one.dataset, one.task, one.modality, one.paradigm, one.objective, one.encoder


def behind(row: Row, known: dict[Way, tuple[Origin, ...]]) -> tuple[Origin, ...]:
    """The runs behind a row of any table."""
    cell = next(entry.scores.cell for entry in row.entries if entry)
    return known.get(way(cell), ())
