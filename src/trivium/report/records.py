"""Result records of the evaluation folders, with their per-item predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from trivium.evaluation.results import read_evaluation

PARADIGMS = ("supervised", "unsupervised", "self_supervised", "control")
VARIED = "/"
"""What stands between the name of a probe and how it was varied."""
SEEDLESS = ("raw", "ridge", "duration")
"""Controls that no seed can change."""


class Entry(NamedTuple):
    """One pretraining run of the grid on one task, and where its results lie.

    `run_folder` (curves, cost, pictures), `run_id` and `experiment_id` (tracking) and `commit` (of
    the code that ran) may be missing. `variant` is added to the objective's name: what sets the run
    apart from others of that objective.
    """

    cell: str
    seed: int
    probe_folder: Path
    run_folder: Path | None = None
    run_id: str | None = None
    variant: str = ""
    experiment_id: str | None = None
    commit: str | None = None


class Facts(NamedTuple):
    """What was pretrained, at which cost (training FLOPs and samples; 0 for controls)."""

    dataset: str
    task: str
    modality: str
    paradigm: str
    objective: str
    encoder: str
    seed: int
    flops: int
    samples: int


class Record(NamedTuple):
    """One measured number, as `comparison.json` lists it."""

    dataset: str
    task: str
    modality: str
    paradigm: str
    objective: str
    encoder: str
    seed: int
    probe: str
    fraction: float
    draw: int
    split: str
    metric: str
    value: float
    flops: int
    samples: int
    run_id: str | None
    commit: str | None


class Prediction(NamedTuple):
    """Which fitted probe predicted: its name, label fraction and label draw."""

    probe: str
    fraction: float
    draw: int


@dataclass(frozen=True)
class Measured:
    """One evaluation folder: facts, records, and the predicted class of every test item.

    `groups` says which test items belong together; None where all are independent. Of retrieval
    the items are queries, the predictions their ranks, and `strata` says within which part of the
    data each was asked; None where all of it was searched. `features` are of some validation
    items, the same for every encoder; None where they were not kept. `variations` are of probes
    that the protocol does not know (`linear/layer 1`); they enter no table of results.
    """

    entry: Entry
    protocol: str
    facts: Facts
    records: tuple[Record, ...]
    predictions: Mapping[Prediction, Integer[np.ndarray, " item"]]
    labels: Integer[np.ndarray, " item"]
    groups: Integer[np.ndarray, " item"] | None = None
    strata: Integer[np.ndarray, " item"] | None = None
    features: Float[np.ndarray, "kept channel"] | None = None
    variations: "Measured | None" = None

    @property
    def place(self) -> tuple[str, str, str]:
        """Dataset, task and modality: what is compared with what."""
        return self.facts[:3]

    def within(self, metric: str) -> Bool[np.ndarray, " item"] | None:
        """Which items a metric is of: those of its stratum (`recall@5/German`), else None.

        The records name the strata in the order of their numbers.
        """
        name = metric.partition("/")[2]
        if not name or self.strata is None:
            return None
        names = list(dict.fromkeys(n for r in self.records if (n := r.metric.partition("/")[2])))
        numbers = np.unique(self.strata)
        if len(names) != len(numbers):
            raise ValueError(
                f"{self.entry.probe_folder} names the strata {', '.join(names)}, its predictions "
                f"have {len(numbers)}: run the probe stage again."
            )
        chosen: Bool[np.ndarray, " item"] = self.strata == numbers[names.index(name)]
        return chosen


def read_entries(entries: Sequence[Entry]) -> tuple[Measured, ...]:
    """Read the evaluation folders that the grid names, in the grid's order; see `joined`.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: there are none, one is broken, two carry different protocol versions, two claim
            the same run, or two disagree about the test items of a task.
    """
    if not entries:
        raise ValueError("No entry was given: the grid must name at least one cell and seed.")
    measured = tuple(_read(entry) for entry in entries)
    first: dict[tuple[str, str, str], Measured] = {}
    for one in measured:
        _check_protocol(measured[0], one)
        _check_items(first.setdefault(one.place, one), one)
    measured = joined(measured)
    seen: dict[tuple[object, ...], Path] = {}
    for one in measured:
        if one.facts[:7] in seen:
            raise ValueError(
                f"{seen[one.facts[:7]]} and {one.entry.probe_folder} both hold seed "
                f"{one.facts.seed} of {one.facts.dataset} x {one.facts.objective} "
                f"({one.facts.task}, {one.facts.modality}): name each run once in the grid."
            )
        seen[one.facts[:7]] = one.entry.probe_folder
    return measured


def joined(measured: Sequence[Measured]) -> tuple[Measured, ...]:
    """Those that share all facts but no probe, together in the first of them; others as they are.

    Args:
        measured: Of one task all have the same test items.
    """
    found: list[Measured] = []
    for one in measured:
        probes = {record.probe for record in one.records}
        for at, other in enumerate(found):
            if other.facts == one.facts and probes.isdisjoint(r.probe for r in other.records):
                predictions = {**other.predictions, **one.predictions}
                records = other.records + one.records
                found[at] = replace(other, records=records, predictions=predictions)
                break
        else:
            found.append(one)
    return tuple(found)


def _read(entry: Entry) -> Measured:
    evaluation = read_evaluation(entry.probe_folder)
    arrays = dict(evaluation.predictions)
    try:
        facts = _facts(evaluation.facts, entry)
        records = tuple(_record(row, facts, entry) for row in evaluation.records)
        labels = arrays.pop("labels")
    except KeyError as error:
        raise ValueError(
            f"{entry.probe_folder} lacks {error}: run the probe stage again."
        ) from error
    for name, array in arrays.items():
        if array.shape != labels.shape:
            raise ValueError(
                f"{entry.probe_folder}: {name} has {len(array)} items, but there are "
                f"{len(labels)} labels: run the probe stage again."
            )
    groups, strata = arrays.pop("groups", None), arrays.pop("strata", None)
    predictions = {_key(name, entry): array for name, array in arrays.items()}
    own, varied = (
        Measured(
            entry,
            evaluation.protocol,
            facts,
            tuple(one for one in records if (VARIED in one.probe) is is_varied),
            {key: of for key, of in predictions.items() if (VARIED in key.probe) is is_varied},
            labels,
            groups,
            strata,
        )
        for is_varied in (False, True)
    )
    variations = varied if varied.records else None
    return replace(own, features=evaluation.features, variations=variations)


def _key(name: str, entry: Entry) -> Prediction:
    try:
        probe, fraction, draw = name.rsplit("/", 2)
        return Prediction(probe, float(fraction), int(draw))
    except ValueError as error:
        raise ValueError(
            f"{entry.probe_folder}: array {name!r}, expected 'probe/fraction/draw'."
        ) from error


def _facts(facts: Mapping[str, Any], entry: Entry) -> Facts:
    found = Facts(
        **{name: str(facts[name]) for name in Facts._fields[:6]},
        seed=int(facts["seed"]),
        flops=int(facts.get("flops") or 0),
        samples=int(facts.get("samples") or 0),
    )
    if found.seed != entry.seed:
        raise ValueError(
            f"{entry.probe_folder} was probed from seed {found.seed}, but the grid names it as "
            f"seed {entry.seed} of {entry.cell}: run the probe stage again."
        )
    if found.paradigm not in PARADIGMS:
        raise ValueError(
            f"{entry.probe_folder} names the paradigm {found.paradigm!r}, expected one of "
            f"{', '.join(PARADIGMS)}."
        )
    variant = f" · {entry.variant}" if entry.variant else ""
    return found._replace(objective=f"{found.objective}{variant}")


def _record(row: Mapping[str, Any], facts: Facts, entry: Entry) -> Record:
    shared = facts._asdict() | {"task": str(row.get("task", facts.task))}
    return Record(
        **shared,
        probe=str(row["probe"]),
        fraction=float(row["fraction"]),
        draw=int(row["draw"]),
        split=str(row["split"]),
        metric=str(row["metric"]),
        value=float(row["value"]),
        run_id=entry.run_id,
        commit=entry.commit,
    )


def _check_protocol(first: Measured, other: Measured) -> None:
    if other.protocol != first.protocol:
        raise ValueError(
            f"Results of two protocols cannot be compared: {first.entry.probe_folder} is of "
            f"protocol {first.protocol}, {other.entry.probe_folder} of {other.protocol}; run "
            "the probe stage of the older ones again."
        )


def _check_items(first: Measured, other: Measured) -> None:
    for name in ("labels", "groups", "strata"):
        one, two = getattr(first, name), getattr(other, name)
        # None, and only None, equals None.
        if not (one is two or (one is not None and np.array_equal(one, two))):
            raise ValueError(
                f"{first.entry.probe_folder} and {other.entry.probe_folder} were tested on "
                f"different items of {other.facts.dataset} ({other.facts.task}, "
                f"{other.facts.modality}): probe both on the same store."
            )
