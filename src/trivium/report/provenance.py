"""Where numbers come from: tracked run and code of each row; entries chosen from tracking."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from trivium.report.cells import Cell
from trivium.report.records import Entry, Facts, Measured
from trivium.report.tables import Row
from trivium.tracking import names
from trivium.tracking.query import Tracked

UI = "http://127.0.0.1:5000"
"""Where `make ui` serves."""
NOTE = "Links open where `make ui` serves the tracking store."

Way = tuple[str, str, str, str, str, str]
"""Dataset, task, modality, paradigm, objective and encoder: what a row is of."""


class Provenance(NamedTuple):
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


def provenances(measured: Sequence[Measured]) -> dict[Way, tuple[Provenance, ...]]:
    """The runs behind each row, by seed."""
    found: dict[Way, set[Provenance]] = {}
    for one in measured:
        entry = one.entry
        origin = Provenance(one.facts.seed, entry.run_id, entry.experiment_id, entry.commit)
        found.setdefault(way(one.facts), set()).add(origin)
    return {key: tuple(sorted(mine, key=lambda one: one.seed)) for key, mine in found.items()}


def way(one: Facts | Cell) -> Way:
    """What a row of these facts is of."""
    return one.dataset, one.task, one.modality, one.paradigm, one.objective, one.encoder


def behind(row: Row, known: dict[Way, tuple[Provenance, ...]]) -> tuple[Provenance, ...]:
    """The runs behind a row of any table."""
    cell = next(entry.scores.cell for entry in row.entries if entry)
    return known.get(way(cell), ())


def selected(runs: Sequence[Tracked]) -> list[Entry]:
    """An entry for each evaluation of each run.

    Runs of one objective on one dataset that differ in a setting (of a sweep) become rows of their
    own, named by it: `simclr · temperature=0.2`. Of runs that differ in nothing but their age, the
    newest counts.

    Args:
        runs: From the oldest to the newest.
    """
    families: dict[tuple[str, ...], list[Tracked]] = defaultdict(list)
    for run in runs:
        families[tuple(run.tags.get(name, "") for name in names.ENCODER)].append(run)
    entries = []
    for family in families.values():
        short = _shortened(differing(family))
        newest = {(_variant(run, short), _seed(run)): run for run in family}
        for (variant, seed), run in newest.items():
            cell = f"{run.tags.get(names.DATASET, run.name)}-{run.tags.get(names.OBJECTIVE, '')}"
            entries += [
                Entry(cell, seed, probe, run.folder, run.run_id, variant) for probe in run.probes
            ]
    return entries


def differing(family: Sequence[Tracked]) -> list[str]:
    """The settings in which some of these runs differ, but those of `names.ASIDE`."""
    keys = dict.fromkeys(key for run in family for key in run.params)
    return [
        key
        for key in keys
        if key not in names.ASIDE
        and key.partition(".")[0] not in names.ASIDE
        and len({run.params.get(key) for run in family}) > 1
    ]


def _shortened(keys: Sequence[str]) -> dict[str, str]:
    """The shortest name of each setting that no other one has."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)
    }


def _variant(run: Tracked, settings: dict[str, str]) -> str:
    return ", ".join(f"{short}={run.params.get(key, '-')}" for key, short in settings.items())


def _seed(run: Tracked) -> int:
    return int(run.tags.get(names.SEED, 0))
