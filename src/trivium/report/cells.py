"""Records grouped over seeds and label draws: one cell per mean and interval."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from trivium.report.bootstrap import Interval, Resampling, num_units, pooled
from trivium.report.records import PARADIGMS, Facts, Measured, Prediction, Record
from trivium.report.scores import MAIN, RETRIEVAL, is_share, score_of
from trivium.types import MODALITIES


class Cell(NamedTuple):
    """What a mean is of: everything of a record but seed, draw and run."""

    dataset: str
    task: str
    modality: str
    paradigm: str
    objective: str
    encoder: str
    probe: str
    fraction: float
    split: str
    metric: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Dataset, task and modality: what is compared with what."""
        return self[:3]


@dataclass(frozen=True)
class Scores:
    """A cell's scores per seed, draw and test unit (see `pooled`); their mean is the metric.

    For metrics that are no function of stored predictions, `values` has a single item and the
    interval covers seeds and draws only. `worlds` are their means in resampled test sets.
    `trained` is what the encoder was trained on: of a tower that learnt together with others, the
    modalities of all of them.
    """

    cell: Cell
    seeds: tuple[int, ...]
    draws: tuple[int, ...]
    values: Float[np.ndarray, "seed draw item"]
    worlds: Float32[np.ndarray, "replicate seed draw"]
    flops: int
    samples: int
    interval: Interval
    trained: str = ""

    @property
    def others(self) -> tuple[str, ...]:
        """The modalities that the encoder learnt with, beside those that it is examined on."""
        mine = self.cell.modality.split("+")
        return tuple(one for one in self.trained.split("+") if one and one not in mine)

    def covers(self) -> tuple[str, ...]:
        """The sources of chance that the interval covers."""
        names = ("seeds", "draws", "items")
        return tuple(name for name, num in zip(names, self.values.shape, strict=True) if num > 1)

    def row(self) -> dict[str, object]:
        """The cell as `comparison.json` lists it; an interval that nothing measures is null."""
        low, high = self.interval.low, self.interval.high
        return self.cell._asdict() | {
            "flops": self.flops,
            "samples": self.samples,
            "mean": self.interval.mean,
            "low": None if math.isnan(low) else low,
            "high": None if math.isnan(high) else high,
            "num_seeds": len(self.seeds),
            "num_draws": len(self.draws),
            "covers": list(self.covers()),
        }


def group(
    measured: Sequence[Measured], resamplings: Mapping[int, Resampling]
) -> tuple[Scores, ...]:
    """Group all records into cells, in a fixed order (dataset, task, modality, paradigm, ...).

    Args:
        measured: the probe folders.
        resamplings: by number of test units; see `resamplings_of`.

    Raises:
        ValueError: if the seeds of a cell were probed with different label draws, or if a
            record's accuracy, macro-F1 or recall is not what its stored predictions give.
    """
    groups: dict[Cell, list[tuple[Measured, Record]]] = defaultdict(list)
    for one in measured:
        for record in one.records:
            groups[Cell(*(getattr(record, name) for name in Cell._fields))].append((one, record))
    together = {_way(o.facts): o.facts.modality for o in measured if "+" in o.facts.modality}
    return tuple(
        _scores(cell, groups[cell], resamplings, together.get(_way(cell), cell.modality))
        for cell in sorted(groups, key=_order)
    )


def by_main_metric(scores: Sequence[Scores]) -> list[Scores]:
    """Test accuracies, and recall@5 where a dataset's task has no accuracy."""
    tested = [one for one in scores if one.cell.split == "test" and one.cell.metric in MAIN]
    best: dict[tuple[str, str, str], int] = {}
    for one in tested:
        rank = MAIN.index(one.cell.metric)
        best[one.cell.place] = min(rank, best.get(one.cell.place, rank))
    return [one for one in tested if MAIN.index(one.cell.metric) == best[one.cell.place]]


def resamplings_of(measured: Sequence[Measured], seed: int = 0) -> dict[int, Resampling]:
    """One resampling for each size of test set or stratum, in units that are resampled."""
    sizes = {num_units(one.labels, one.groups) for one in measured}
    for one in measured:
        for number in () if one.strata is None else np.unique(one.strata):
            chosen = one.strata == number
            groups = None if one.groups is None else one.groups[chosen]
            sizes.add(num_units(one.labels[chosen], groups))
    return {num: Resampling(num, seed=seed) for num in sizes}


def _way(one: Facts | Cell) -> tuple[str, ...]:
    """What was trained, whatever it is examined on: none that sees one modality alone sees more."""
    return (one.dataset, one.paradigm, one.objective, one.encoder)


def _order(cell: Cell) -> tuple[object, ...]:
    parts = cell.modality.split("+")
    return (
        cell.dataset,
        cell.probe == RETRIEVAL,
        cell.task,
        len(parts),
        [*MODALITIES].index(parts[0]) if parts[0] in MODALITIES else 0,
        cell.modality,
        PARADIGMS.index(cell.paradigm),
        cell.objective,
        cell.encoder,
        cell.metric != "accuracy",
        cell.metric,
        cell.split,
        cell.probe != "linear",
        cell.probe,
        cell.fraction,
    )


def _scores(
    cell: Cell,
    members: Sequence[tuple[Measured, Record]],
    resamplings: Mapping[int, Resampling],
    trained: str,
) -> Scores:
    seeds = tuple(sorted({record.seed for _, record in members}))
    draws = tuple(sorted({record.draw for _, record in members}))
    found = {(record.seed, record.draw): (one, record) for one, record in members}
    if len(found) != len(seeds) * len(draws) or len(members) != len(found):
        raise ValueError(
            f"{_name(cell)}: seeds {seeds} and label draws {draws} need "
            f"{len(seeds) * len(draws)} records, one each, but there are {len(members)}: run the "
            "probe stage again for all seeds."
        )
    rows = [[_items(*found[seed, draw]) for draw in draws] for seed in seeds]
    one = members[0][0]
    chosen = one.within(cell.metric)
    labels = one.labels if chosen is None else one.labels[chosen]
    groups = one.groups if chosen is None or one.groups is None else one.groups[chosen]
    values = pooled(np.array(rows, dtype=np.float32), groups).astype(np.float32)
    resampling = resamplings[num_units(labels, groups)]
    worlds = resampling.worlds(values)
    interval = resampling.interval(values, worlds)
    if is_share(cell.metric):
        interval = interval._replace(low=max(interval.low, 0.0), high=min(interval.high, 1.0))
    records = [record for _, record in members]
    return Scores(
        cell,
        seeds,
        draws,
        values,
        worlds,
        round(np.mean([record.flops for record in records])),
        round(np.mean([record.samples for record in records])),
        interval,
        trained,
    )


def _items(one: Measured, record: Record) -> Float[np.ndarray, " item"]:
    key = Prediction(record.probe, record.fraction, record.draw)
    score = score_of(record.metric)
    if record.split != "test" or score is None:
        return np.array([record.value])
    if key not in one.predictions:
        raise ValueError(
            f"{one.entry.probe_folder / 'predictions.npz'} lacks {'/'.join(map(str, key))}, which "
            "probe.json reports: run the probe stage again."
        )
    items, chosen = score(one.predictions[key], one.labels), one.within(record.metric)
    items = items if chosen is None else items[chosen]
    if abs(float(items.mean()) - record.value) > 1e-4:
        raise ValueError(
            f"{one.entry.probe_folder}: probe.json reports {record.metric} {record.value:.5f} for "
            f"{'/'.join(map(str, key))}, its predictions give {items.mean():.5f}: run the probe "
            "stage again."
        )
    return items


def _name(cell: Cell) -> str:
    return f"{cell.dataset} x {cell.objective} ({cell.probe} at {cell.fraction:g} of the labels)"
