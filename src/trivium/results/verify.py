"""Published records against the same runs made again, and what may have changed since."""

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from trivium.config import numerics_of, pretraining_values, probe_values, without_numerics
from trivium.identity import digest, measurement_settings, prepared_fingerprint, settings_of
from trivium.report.records import VARIED
from trivium.report.scores import MAIN
from trivium.report.tables import figure
from trivium.results.files import KEY, MEASURE, Results

if TYPE_CHECKING:
    from trivium.grid import Grid


Composer = Callable[[str, Sequence[str]], Mapping[str, Any]]
"""The values of a stage's config with overrides."""
CHECKPOINT = "checkpoint="
ASPECTS = ("data", "settings", "numerics")
"""What is compared with a record's own: a change of any of them makes it incomparable."""


class Rerun(NamedTuple):
    """The overrides that make a run and its probe again, and what they stand for.

    Attributes:
        data: Fingerprint of the store; empty where it is not prepared.
        settings: A digest of what computes, but for `numerics` and for the precision, which
            follows from the machine.
        numerics: The declared numbers by the place where each stands, as JSON.
        pretrain: Overrides of the pretraining; empty of the raw input.
        probe: Overrides of the probe, without the checkpoint.
    """

    data: str
    settings: str
    numerics: str
    pretrain: tuple[str, ...]
    probe: tuple[str, ...]

    def changed(self, record: Mapping[str, Any]) -> list[str]:
        """The aspects in which a published run (a row of `runs.csv`) differs from this."""
        return [name for name in ASPECTS if getattr(self, name) != record[name]]


def rerun(compose: Composer, pretrain: Iterable[str], probe: Iterable[str]) -> Rerun:
    """What overrides stand for today.

    Args:
        compose: Composes `pretrain` and `probe`.
        pretrain: Overrides of the pretraining; none for the raw input.
        probe: Overrides of the probe.
    """
    pretrain = tuple(pretrain)
    probe = tuple(word for word in probe if not word.startswith(CHECKPOINT))
    measured = probe_values(compose("probe", [f"{CHECKPOINT}raw", *probe]))
    numerics = {f"probe.{place}": n for place, n in numerics_of(measured).items()}
    settings: list[Any] = [measurement_settings(without_numerics(measured))]
    if pretrain:
        trained = pretraining_values(compose("pretrain", pretrain))
        numerics |= {f"pretrain.{place}": n for place, n in numerics_of(trained).items()}
        plain = without_numerics(trained)
        plain["trainer"] = {k: v for k, v in plain["trainer"].items() if k != "precision"}
        settings.append(settings_of(plain))
    store = Path(measured["stores"]) / measured["data"]["name"]
    data = prepared_fingerprint(store, measured["data"], measured["part"]) or ""
    return Rerun(data, digest(settings), json.dumps(numerics, sort_keys=True), pretrain, probe)


def reruns(grid: "Grid") -> Callable[[str, int], Rerun]:
    """The recipe of each cell and seed of a grid, and of each raw input.

    A run that is probed on several data sets is made again with the first of them.
    """
    raw = {f"{data}-raw": data for data in grid.raw_datasets()}
    cells = {cell.name: cell for cell in grid.cells}

    def found(name: str, seed: int) -> Rerun:
        if name in raw:
            return rerun(grid.compositions.of, (), grid.raw(raw[name]).overrides)
        if name not in cells:
            raise ValueError(f"the report's cell {name} is none of the grid {grid.name}")
        cell = cells[name]
        run, probe = grid.run(cell, seed), grid.probes(cell, seed)[0]
        return rerun(grid.compositions.of, run.overrides, probe.overrides)

    return found


Word = Literal["equal", "different", "within", "outside", "changed", "failed"]
FAILURES = ("different", "outside", "failed")
"""Verdicts that say that something is wrong."""
LEVEL = 0.95
FINETUNED = "finetune"
"""The probe that is a training of its own; it is not repeated."""
DECISIVE = ("cpu", "cpu_model", "gpu", "num_threads")
"""What of an environment decides the last bits of a number, beside `libraries`."""
NUMBER = ("task", "objective", "encoder", *MEASURE)
"""Which number of a published run a record is."""
FIGURE = tuple(name for name in NUMBER if name != "draw")
SHOWN = 3
"""How many deviations a verdict names."""


class Chosen(NamedTuple):
    """One published run: a cell with a seed, and the rows of `runs.csv` that are of it."""

    cell: str
    seed: int
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """CELL-SEED."""
        return f"{self.cell}-{self.seed}"

    @property
    def part(self) -> str:
        """The part it was published in."""
        return str(self.rows["part"].iloc[0])

    def overrides(self, stage: str) -> list[str]:
        """What makes its `pretrain` or `probe` again."""
        return list(json.loads(self.rows[stage].iloc[0]))


class Verdict(NamedTuple):
    """What became of one run made again; `detail` says why."""

    name: str
    word: Word
    detail: str

    @property
    def is_failure(self) -> bool:
        """Whether the published record was not confirmed."""
        return self.word in FAILURES


class Figure(NamedTuple):
    """A main figure made again, with the interval in which it was to be expected."""

    name: str
    metric: str
    again: float
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        """Whether it lies in the interval, but for rounding."""
        slack = 1e-9 * max(1.0, abs(self.again))
        return self.low - slack <= self.again <= self.high + slack


def choose(results: Results, num_cells: int, seed: int) -> list[Chosen]:
    """Some published runs at random.

    Args:
        results: What was published.
        num_cells: How many runs; all if there are fewer.
        seed: Of the choice.
    """
    groups = dict(list(results.runs.groupby(["cell", "seed", "part"], sort=True)))
    picked = random.Random(seed).sample(sorted(groups), min(num_cells, len(groups)))
    return [Chosen(str(key[0]), int(key[1]), groups[key]) for key in sorted(picked)]


def differences(record: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two environments differ that decides a number's last bits; empty if in nothing.

    A library that only one of them has took no part in what both computed.
    """
    found = [name for name in DECISIVE if record.get(name) != now.get(name)]
    before, after = record.get("libraries") or {}, now.get("libraries") or {}
    return found + [name for name in sorted({*before} & {*after}) if before[name] != after[name]]


def compared(
    results: Results, chosen: Chosen, again: pd.DataFrame, differing: Sequence[str]
) -> Verdict:
    """A run made again against its own published record.

    Args:
        results: What was published.
        chosen: Which run.
        again: Its records, with the columns `NUMBER` and `value`.
        differing: What of the environment is not the record's, see `differences`.
    """
    published = _of(results.records, chosen.rows)
    published = published[published["probe"] != FINETUNED]
    both = published.merge(again, on=list(NUMBER), how="left", suffixes=("", "_again"))
    if missing := int(both["value_again"].isna().sum()):
        lost = f"{missing} of {len(both)} published records were not measured again"
        return Verdict(chosen.name, "different", lost)
    if not differing:
        return _exactly(chosen.name, both)
    return _expected(chosen.name, figures(results, chosen, again), differing)


def figures(results: Results, chosen: Chosen, again: pd.DataFrame) -> list[Figure]:
    """The main figures of a run made again, each with its prediction interval.

    A figure is the mean over label draws of a test accuracy or recall@5. Where its cell has one
    seed, the published interval of its mean stands in.
    """
    ways = _main(_of(results.records, chosen.rows, seeds=True))
    published = ways.groupby([*FIGURE, "seed"])["value"].mean()
    cells = _of(results.cells, chosen.rows, seeds=True).set_index(list(FIGURE)).sort_index()
    found = []
    for key, made in _main(again).groupby(list(FIGURE))["value"].mean().items():
        if key not in published.index:
            continue
        means = published.loc[key]
        if len(means) > 1:
            low, high = prediction(means)
        else:
            cell = cells.loc[[key]].iloc[0].fillna({"low": means.iloc[0], "high": means.iloc[0]})
            low, high = float(cell["low"]), float(cell["high"])
        name = f"{key[0]} {key[1]} {key[3]}, {key[4]} at {100 * key[5]:g} %"
        found.append(Figure(name, str(key[-1]), float(made), low, high))
    return found


def prediction(values: Iterable[float], level: float = LEVEL) -> tuple[float, float]:
    """Where one more observation is to be expected beside n independent normal ones.

    mean ± t · s · sqrt(1 + 1/n), with t the quantile (1 + level) / 2 of Student's distribution
    with n - 1 degrees of freedom and s the standard deviation of the n.
    """
    array = np.array([*values], dtype=float)
    quantile = float(stats.t.ppf((1 + level) / 2, len(array) - 1))
    half = quantile * float(array.std(ddof=1)) * math.sqrt(1 + 1 / len(array))
    return float(array.mean()) - half, float(array.mean()) + half


def _exactly(name: str, both: pd.DataFrame) -> Verdict:
    wrong = both[both["value"] != both["value_again"]]
    if wrong.empty:
        return Verdict(name, "equal", f"{len(both)} records, the same environment")
    told = [
        f"{row['objective']} {row['probe']} {row['split']} {row['metric']} at "
        f"{100 * row['fraction']:g} %, draw {row['draw']}: {row['value']!r} is now "
        f"{row['value_again']!r}"
        for row in wrong.head(SHOWN).to_dict("records")
    ]
    detail = f"{len(wrong)} of {len(both)} records in the same environment: {'; '.join(told)}"
    return Verdict(name, "different", detail)


def _expected(name: str, found: Sequence[Figure], differing: Sequence[str]) -> Verdict:
    """Outside if more figures leave their intervals than chance explains (binomial, 5 %)."""
    where = f"another {', '.join(differing)}"
    if not found:
        return Verdict(name, "different", f"no main figure was published ({where})")
    outside = [one for one in found if not one.is_inside]
    detail = f"{len(found) - len(outside)} of {len(found)} figures in their intervals ({where})"
    chance = float(stats.binom.sf(len(outside) - 1, len(found), 1 - LEVEL)) if outside else 1.0
    if chance > 1 - LEVEL + 1e-12:
        return Verdict(name, "within", detail)
    told = [
        f"{one.name}: {figure(one.again, one.metric)} is not in "
        f"[{figure(one.low, one.metric)}, {figure(one.high, one.metric)}]"
        for one in outside[:SHOWN]
    ]
    return Verdict(name, "outside", f"{detail}: {'; '.join(told)}")


def _main(records: pd.DataFrame) -> pd.DataFrame:
    chosen = (records["split"] == "test") & records["metric"].isin(MAIN)
    chosen &= ~records["probe"].str.contains(VARIED, regex=False)
    return records[chosen & (records["probe"] != FINETUNED)]


def _of(records: pd.DataFrame, rows: pd.DataFrame, *, seeds: bool = False) -> pd.DataFrame:
    """The records of some rows of `runs.csv`; with all seeds of the same ways."""
    names = [name for name in KEY if not (seeds and name == "seed")]
    return records.merge(rows[names].drop_duplicates(), on=names)
