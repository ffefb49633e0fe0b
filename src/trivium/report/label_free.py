"""What encoders show without labels, how well that predicts accuracy, and how alike they are."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.evaluation.checks import CollapsedError
from trivium.evaluation.label_free import PROBE
from trivium.evaluation.representation import cka, gram
from trivium.report.cells import Scores
from trivium.report.records import Measured
from trivium.report.runs import Run
from trivium.report.tables import Estimate, Row, RowKey, label, rows_of, way_of

METRICS = ("rankme", "lidar", "alpha_req", "alignment", "uniformity")
FEWEST = 5
"""Encoders that a rank correlation needs at least."""
QUESTION = "What shows without labels?"
NOTE = (
    "On the same validation items: RankMe (2210.02885) and LiDAR (2312.04000), effective numbers "
    "of dimensions; alpha-ReQ (Agrawal et al. 2022), the decay of the spectrum, said to be best "
    "near 1; alignment (2005.10242), the squared distance of two views on the unit sphere; "
    "uniformity (same), how evenly the sphere is filled, the lower the more. Means over seeds."
)
LIKENESS = (
    "Linear CKA (1905.00414, unbiased) of two encoders' features of the same items, mean over "
    "pairs of different runs: 1 is alike up to rotation and scale, 0 unrelated. The diagonal is of "
    "two seeds of one objective."
)


class Correlation(NamedTuple):
    """The rank correlation of a diagnostic with accuracy over the trained encoders.

    Spearman's, over means of seeds, with the 95 % interval of Bonett and Wright (Psychometrika
    65:23, 2000). `values` are those that are correlated: of alpha-ReQ the nearness to 1.
    """

    metric: str
    rho: float
    low: float
    high: float
    names: tuple[RowKey, ...]
    values: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def sentence(self) -> str:
        """What it says."""
        sign = "rises" if self.rho > 0 else "falls"
        sure = self.low > 0 or self.high < 0
        what = f"accuracy {sign} with it" if sure else "it does not tell who is better"
        return (
            f"{label(self.metric)}: {what} (Spearman's rho {self.rho:+.2f} "
            f"[{self.low:+.2f}, {self.high:+.2f}], {len(self.values)} encoders)."
        )


class Activity(NamedTuple):
    """Latent units that a VAE uses (Burda et al., 1509.00519, section 5.2), over its seeds.

    Of the last recorded training batch: those whose posterior mean varies by more than 0.01.
    """

    objective: str
    encoder: str
    units: tuple[float, ...]

    @property
    def sentence(self) -> str:
        """What it says."""
        least, most = min(self.units), max(self.units)
        spread = f" ({least:.0f} to {most:.0f})" if most > least else ""
        return (
            f"{label(self.objective)}: {fmean(self.units):.3g} active units at the end of "
            f"pretraining{spread}, {len(self.units)} seed{'s' if len(self.units) > 1 else ''}."
        )


class Likeness(NamedTuple):
    """CKA of all pairs of encoders; nan where there is no pair of different runs."""

    names: tuple[str, ...]
    paradigms: tuple[str, ...]
    values: Float[np.ndarray, "encoder encoder"]


class LabelFree(NamedTuple):
    """Everything about one task of one dataset, by one modality."""

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    probe: str
    foretold: tuple[Correlation, ...]
    activities: tuple[Activity, ...]
    likeness: Likeness | None

    @property
    def heads(self) -> tuple[str, ...]:
        """The title of each column."""
        return tuple(map(label, self.metrics))


def label_free(
    scores: Sequence[Scores], measured: Sequence[Measured], runs: Sequence[Run] = ()
) -> LabelFree | None:
    """The diagnostics among the scores, features and runs of one place; None if there are none."""
    columns = {
        metric: {
            way_of(one.cell): Estimate(one)
            for one in scores
            if (one.cell.probe, one.cell.metric) == (PROBE, metric)
        }
        for metric in METRICS
    }
    columns = {metric: entries for metric, entries in columns.items() if entries}
    if not columns:
        return None
    rows = rows_of(list(columns.values()), scores)
    probe, accuracy = _accuracy(scores)
    correlated = [_predicted(metric, column, accuracy) for metric, column in columns.items()]
    return LabelFree(
        tuple(columns),
        rows,
        probe,
        tuple(one for one in correlated if one),
        _activities(runs),
        _likeness(rows, measured),
    )


def spearman(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> tuple[float, float, float]:
    """Spearman's rank correlation with an interval; nan where one side is constant.

    The interval is that of Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) of Bonett and
    Wright 2000. Of n values, rho below 1 is 1 - 12 / (n^3 - n) at the most: a rho of 1 counts as
    half of that away from it, else a few values in order would leave no doubt.
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan, math.nan, math.nan
    rho = float(stats.spearmanr(first, second).statistic)
    num = len(first)
    most = 1 - 6 / (num**3 - num)
    z = math.atanh(min(max(rho, -most), most))
    half_width = stats.norm.ppf(0.5 + level / 2) * math.sqrt((1 + rho**2 / 2) / (num - 3))
    return rho, math.tanh(z - half_width), math.tanh(z + half_width)


def _accuracy(scores: Sequence[Scores]) -> tuple[str, dict[RowKey, float]]:
    """The accuracy with the most labels of the linear probe, or of the first one there is."""
    tested = [o for o in scores if o.cell.split == "test" and o.cell.metric == "accuracy"]
    tested = [one for one in tested if " " not in one.cell.probe]
    if not tested:
        return "", {}
    probes = [one.cell.probe for one in tested]
    probe = "linear" if "linear" in probes else probes[0]
    most = max(one.cell.fraction for one in tested if one.cell.probe == probe)
    mine = [one for one in tested if (one.cell.probe, one.cell.fraction) == (probe, most)]
    return probe, {way_of(one.cell): one.interval.mean for one in mine}


def _predicted(
    metric: str, column: dict[RowKey, Estimate], accuracy: dict[RowKey, float]
) -> Correlation | None:
    """Over the encoders that were trained, without the controls."""
    names = [way for way in column if way[0] != "control" and way in accuracy]
    if len(names) < FEWEST:
        return None
    values = [column[way].mean for way in names]
    if metric == "alpha_req":
        values = [-abs(value - 1) for value in values]
    accuracies = [accuracy[way] for way in names]
    found = spearman(values, accuracies)
    if math.isnan(found[0]):
        return None
    return Correlation(metric, *found, tuple(names), tuple(values), tuple(accuracies))


def _activities(runs: Sequence[Run]) -> tuple[Activity, ...]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        units = ((run.metrics or {}).get("final") or {}).get("active_units")
        if units is not None:
            found[run.facts.objective, run.facts.encoder].append(float(units))
    return tuple(Activity(*way, tuple(units)) for way, units in found.items())


def _likeness(rows: Sequence[Row], measured: Sequence[Measured]) -> Likeness | None:
    grams: dict[RowKey, list[np.ndarray]] = defaultdict(list)
    for one in measured:
        if one.features is not None:
            facts = one.facts
            grams[facts.paradigm, facts.objective, facts.encoder].append(gram(one.features))
    kept = [row for row in rows if row.way in grams]
    if len(kept) < 2:
        return None
    mine = [grams[row.way] for row in kept]
    values = np.full((len(kept), len(kept)), np.nan)
    for i, own in enumerate(mine):
        for j, other in enumerate(mine[: i + 1]):
            pairs = [
                (a, b) for m, a in enumerate(own) for n, b in enumerate(other) if i != j or m < n
            ]
            found = [value for pair in pairs if (value := _cka(*pair)) is not None]
            if found:
                values[i, j] = values[j, i] = fmean(found)
    names = tuple(row.label for row in kept)
    return Likeness(names, tuple(row.paradigm for row in kept), values)


def _cka(first: np.ndarray, second: np.ndarray) -> float | None:
    try:
        return cka(first, second)
    except CollapsedError:
        return None
