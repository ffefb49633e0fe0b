"""Result records of the evaluation folders, with their per-item predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from trivium.report.arrays import Prediction, read_arrays, read_features


def joined(measured: "Sequence[Measured]") -> "tuple[Measured, ...]":
    """Those that share all facts but no probe, together in the first of them; others as they are.

    Args:
        measured: Of one task all have the same test items.
    """
    found: list[Measured] = []
    for one in measured:
        same = [n for n, other in enumerate(found) if other.facts == one.facts]
        same = [n for n in same if _probes(found[n]).isdisjoint(_probes(one))]
        if not same:
            found.append(one)
            continue
        first = found[same[0]]
        found[same[0]] = replace(
            first,
            records=first.records + one.records,
            predictions={**first.predictions, **one.predictions},
        )
    return tuple(found)


def _probes(one: "Measured") -> set[str]:
    return {record.probe for record in one.records}


class Entry(NamedTuple):
    """One pretraining run of the grid and where its results lie.

    `probe_folder` holds `probe.json` and `predictions.npz`; `run_folder` (curves, cost,
    pictures), `run_id` and `experiment_id` (tracking) and `commit` (of the code that ran) may be
    missing. One entry stands for one task. `variant` is added to the objective's name: what sets
    the run apart from others of that objective.
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
    """What was pretrained, at which price (training FLOPs and samples; 0 for controls)."""

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


@dataclass(frozen=True)
class Measured:
    """One probe folder: facts, records, and the predicted class of every test item.

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
                f"{self.entry.probe_folder}: probe.json names the strata {', '.join(names)}, its "
                f"predictions have {len(numbers)}: run the probe stage again."
            )
        chosen: Bool[np.ndarray, " item"] = self.strata == numbers[names.index(name)]
        return chosen


PARADIGMS = ("supervised", "unsupervised", "self_supervised", "control")
VARIED = "/"
"""What stands between the name of a probe and how it was varied."""
SEEDLESS = ("raw", "ridge", "duration")
"""Controls that no seed can change."""


def read_entries(entries: Sequence[Entry]) -> tuple[Measured, ...]:
    """Read the probe folders that the grid names, in the grid's order; see `joined`.

    Raises:
        ValueError: if there are none, one is missing or broken, two carry different protocol
            versions, two claim the same run, or two disagree about the test labels of a task.
    """
    if not entries:
        raise ValueError("No entry was given: the grid must name at least one cell and seed.")
    measured = tuple(_read(entry) for entry in entries)
    _check_protocol(measured)
    _check_labels(measured)
    measured = joined(measured)
    _check_unique(measured)
    return measured


def _read(entry: Entry) -> Measured:
    document = _document(entry.probe_folder / "probe.json")
    try:
        facts = _facts(document["facts"], entry)
        records = tuple(_record(row, facts, entry) for row in document["records"])
        protocol = str(document["protocol"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{entry.probe_folder / 'probe.json'} lacks {error}: expected protocol, facts and "
            "records as trivium.evaluation.results writes them; run the probe stage again."
        ) from error
    arrays = read_arrays(entry.probe_folder / "predictions.npz")
    features = read_features(entry.probe_folder / "features.npy")
    return _apart(Measured(entry, protocol, facts, records, *arrays, features))


def _apart(one: Measured) -> Measured:
    """With what varied probes found apart from the rest."""
    own, varied = (
        replace(
            one,
            records=tuple(o for o in one.records if (VARIED in o.probe) is is_varied),
            predictions={
                k: a for k, a in one.predictions.items() if (VARIED in k.probe) is is_varied
            },
        )
        for is_varied in (False, True)
    )
    return replace(own, variations=replace(varied, features=None) if varied.records else None)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist: run the probe stage of this cell.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run the probe stage again.") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds {type(document).__name__}, expected a JSON object.")
    return document


def _facts(facts: object, entry: Entry) -> Facts:
    if not isinstance(facts, dict):
        raise TypeError("'facts'")
    found = Facts(
        **{name: str(facts[name]) for name in Facts._fields[:6]},
        seed=int(facts["seed"]),
        flops=int(facts.get("flops") or 0),
        samples=int(facts.get("samples") or 0),
    )
    if entry.variant:
        found = found._replace(objective=f"{found.objective} · {entry.variant}")
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
    return found


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


def _check_protocol(measured: Sequence[Measured]) -> None:
    first = measured[0]
    for other in measured[1:]:
        if other.protocol != first.protocol:
            raise ValueError(
                f"Results of two protocols cannot be compared: {first.entry.probe_folder} is of "
                f"protocol {first.protocol}, {other.entry.probe_folder} of {other.protocol}; run "
                "the probe stage of the older ones again."
            )


def _check_unique(measured: Sequence[Measured]) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for one in measured:
        key = one.facts[:7]
        if key in seen:
            raise ValueError(
                f"{seen[key]} and {one.entry.probe_folder} both hold seed {one.facts.seed} of "
                f"{one.facts.dataset} x {one.facts.objective} ({one.facts.task}, "
                f"{one.facts.modality}): name each run once in the grid."
            )
        seen[key] = one.entry.probe_folder


def _check_labels(measured: Sequence[Measured]) -> None:
    first: dict[tuple[str, str, str], Measured] = {}
    for one in measured:
        reference = first.setdefault(one.place, one)
        if not all(
            _equal(getattr(reference, name), getattr(one, name))
            for name in ("labels", "groups", "strata")
        ):
            raise ValueError(
                f"{reference.entry.probe_folder} and {one.entry.probe_folder} were tested on "
                f"different items of {one.facts.dataset} ({one.facts.task}, "
                f"{one.facts.modality}): probe both on the same store."
            )


def _equal(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)
