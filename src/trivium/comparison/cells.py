"""Records grouped over seeds and label draws: one cell per mean and interval."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Integer

from trivium.comparison.bootstrap import Interval, Resampling
from trivium.comparison.records import PARADIGMS, Measured, Prediction, Record
from trivium.comparison.units import num_units, pooled


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


@dataclass(frozen=True)
class Scores:
    """A cell's scores per seed, draw and test unit (see `pooled`); their mean is the metric.

    For metrics that are no function of stored predictions, `values` has a single item and the
    interval covers seeds and draws only. `worlds` are their means in resampled test sets.
    """

    cell: Cell
    seeds: tuple[int, ...]
    draws: tuple[int, ...]
    values: Float[np.ndarray, "seed draw item"]
    worlds: Float32[np.ndarray, "replicate seed draw"]
    flops: int
    samples: int
    interval: Interval

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
    """Group all records into cells, in a fixed order (dataset, paradigm, objective, ...).

    Args:
        measured: the probe folders.
        resamplings: by number of test units; see `resamplings_of`.

    Raises:
        ValueError: if the seeds of a cell were probed with different label draws, or if a
            record's accuracy or macro-F1 is not what its stored predictions give.
    """
    groups: dict[Cell, list[tuple[Measured, Record]]] = defaultdict(list)
    for one in measured:
        for record in one.records:
            values = record._asdict()
            groups[Cell(**{name: values[name] for name in Cell._fields})].append((one, record))
    return tuple(_scores(cell, groups[cell], resamplings) for cell in sorted(groups, key=_order))


def resamplings_of(measured: Sequence[Measured], seed: int = 0) -> dict[int, Resampling]:
    """One resampling for each size of test set, in units that are resampled."""
    sizes = {num_units(one.labels, one.groups) for one in measured}
    return {num: Resampling(num, seed=seed) for num in sizes}


def _order(cell: Cell) -> tuple[object, ...]:
    return (
        cell.dataset,
        cell.task,
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
    cell: Cell, members: Sequence[tuple[Measured, Record]], resamplings: Mapping[int, Resampling]
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
    values = pooled(np.array(rows, dtype=np.float32), one.groups).astype(np.float32)
    resampling = resamplings[num_units(one.labels, one.groups)]
    worlds = resampling.worlds(values)
    interval = resampling.interval(values, worlds)
    if cell.metric in SCORES:
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
    )


def _items(one: Measured, record: Record) -> Float[np.ndarray, " item"]:
    key = Prediction(record.probe, record.fraction, record.draw)
    score = SCORES.get(record.metric)
    if record.split != "test" or score is None:
        return np.array([record.value])
    if key not in one.predictions:
        raise ValueError(
            f"{one.entry.probe_folder / 'predictions.npz'} lacks {'/'.join(map(str, key))}, which "
            "probe.json reports: run the probe stage again."
        )
    items = score(one.predictions[key], one.labels)
    if abs(float(items.mean()) - record.value) > 1e-4:
        raise ValueError(
            f"{one.entry.probe_folder}: probe.json reports {record.metric} {record.value:.5f} for "
            f"{'/'.join(map(str, key))}, its predictions give {items.mean():.5f}: run the probe "
            "stage again."
        )
    return items


def correctness(
    predicted: Integer[np.ndarray, " item"], labels: Integer[np.ndarray, " item"]
) -> Float[np.ndarray, " item"]:
    """1 where the prediction is right, else 0; the mean is the accuracy."""
    right: Float[np.ndarray, " item"] = (predicted == labels).astype(np.float64)
    return right


def macro_f1_influence(
    predicted: Integer[np.ndarray, " item"], labels: Integer[np.ndarray, " item"]
) -> Float[np.ndarray, " item"]:
    """Per-item pseudo-values whose mean is macro-F1 (the infinitesimal jackknife).

    F1 of class k is 2 a / b with a the share of items that are rightly given k, and b the share
    that are k plus the share that are given k; its linearisation in item i is
    2 (a_i - a) / b - 2 a (b_i - b) / b^2 (Efron 1982, The Jackknife, chapter 6).
    """
    classes = np.union1d(labels, predicted)
    is_class = (labels[:, None] == classes).astype(np.float64)
    given = (predicted[:, None] == classes).astype(np.float64)
    hits, sums = is_class * given, is_class + given
    hit, total = hits.mean(0), sums.mean(0)
    change = 2 * (hits - hit) / total - 2 * hit * (sums - total) / total**2
    influence: Float[np.ndarray, " item"] = (2 * hit / total + change).mean(1)
    return influence


SCORES = {"accuracy": correctness, "macro_f1": macro_f1_influence}
"""Metrics that stored predictions give again, as means of per-item values."""


def _name(cell: Cell) -> str:
    return f"{cell.dataset} x {cell.objective} ({cell.probe} at {cell.fraction:g} of the labels)"
