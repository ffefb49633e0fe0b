"""Cluster bootstrap: intervals over seeds, label draws and test items."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Integer
from scipy import stats


def num_units(
    labels: Integer[np.ndarray, " item"], groups: Integer[np.ndarray, " item"] | None
) -> int:
    """How many independent units a test set has."""
    return len(labels) if groups is None else len(np.unique(groups))


def pooled(
    values: Float[np.ndarray, "seed draw score"], groups: Integer[np.ndarray, " item"] | None
) -> Float[np.ndarray, "seed draw unit"]:
    r"""Scores of units whose plain mean is that of the items.

    With groups (several drawings of one concept, several takes of one speaker) items are not
    independent, and resampling them one by one gives intervals that are too narrow; the group is
    resampled as a whole. Unit g gets $\bar x + \frac{G}{N} \sum_{i \in g} (x_i - \bar x)$, the
    linearised ratio estimator of cluster sampling (Cochran 1977, Sampling Techniques, 9A.3), so
    that groups may differ in size. It is linear: differences of scores stay differences. A metric
    without per-item scores (a single one) is returned as it is.
    """
    if groups is None or values.shape[2] == 1:
        return values
    _, index = np.unique(groups, return_inverse=True)
    member = np.zeros((len(groups), index.max() + 1), dtype=np.float32)
    member[np.arange(len(groups)), index] = member.shape[1] / len(groups)
    mean = values.mean(axis=2, keepdims=True, dtype=np.float64)
    units: np.ndarray = mean + (values - mean) @ member
    return units


DRAWS, APART = 2, 3
"""The random streams of label draws and, from the second on, of the seeds of cells set apart.

0 and 1 are those of the two sides' seeds.
"""


class Interval(NamedTuple):
    """A mean with its 95 % interval, standard error and effective degrees of freedom.

    `low` and `high` are nan where nothing could vary (one seed, one draw, no items).
    """

    mean: float
    low: float
    high: float
    error: float
    freedom: float


class Resampling:
    """The same resampled worlds for every cell of one dataset, so that cells stay paired.

    Args:
        num_items: test items.
        num_replicates: resampled worlds; 2000 know a standard error to about 1.6 %.
        seed: of the generator; equal seeds give equal intervals.
    """

    def __init__(self, num_items: int, *, num_replicates: int = 2000, seed: int = 0) -> None:
        self.num_items = num_items
        self.num_replicates = num_replicates
        self.seed = seed
        generator = np.random.default_rng([seed, num_items])
        counts = np.empty((num_replicates, num_items), dtype=np.uint8)
        for row in counts:
            drawn = generator.integers(num_items, size=num_items)
            row[:] = np.bincount(drawn, minlength=num_items)
        self._counts = counts
        self._levels: dict[tuple[int, int], Float[np.ndarray, "replicate level"]] = {}

    def worlds(
        self, values: Float[np.ndarray, "seed draw item"]
    ) -> Float32[np.ndarray, "replicate seed draw"]:
        """Means over the resampled items; linear in `values`, so differences are cheap."""
        num_seeds, num_draws, num_items = values.shape
        if num_items not in (1, self.num_items):
            raise ValueError(
                f"Got scores of {num_items} items, expected {self.num_items}: resample each "
                "dataset by its own items."
            )
        columns = np.ascontiguousarray(values.reshape(-1, num_items).T, dtype=np.float32)
        table = np.repeat(columns.mean(0, keepdims=True), self.num_replicates, axis=0)
        if num_items > 1:
            stretch = np.float32((num_items / (num_items - 1)) ** 0.5)
            for start in range(0, self.num_replicates, 250):
                part = slice(start, start + 250)
                means = self._counts[part].astype(np.float32) @ columns / np.float32(num_items)
                table[part] += stretch * (means - table[part])
        return table.reshape(self.num_replicates, num_seeds, num_draws)

    def replicates(
        self, worlds: Float32[np.ndarray, "replicate seed draw"], *, side: int = 0
    ) -> Float[np.ndarray, " replicate"]:
        """The grand mean in every resampled world: seeds and draws are resampled as well.

        Cells of different `side` have their seeds resampled independently of each other, but
        share the resampled draws and items.
        """
        _, num_seeds, num_draws = worlds.shape
        seeds = self._level(num_seeds, side)
        draws = self._level(num_draws, DRAWS)
        means: Float[np.ndarray, " replicate"] = np.einsum("rs,rd,rsd->r", seeds, draws, worlds)
        means /= num_seeds * num_draws
        return means

    def interval(
        self,
        values: Float[np.ndarray, "seed draw item"],
        worlds: Float32[np.ndarray, "replicate seed draw"] | None = None,
        *,
        level: float = 0.95,
    ) -> Interval:
        """The mean over everything and its interval; levels of a single value add nothing.

        `worlds` are those of the same values, if they are known already.
        """
        mean = float(values.mean(dtype=np.float64))
        if max(values.shape) == 1:
            return Interval(mean, np.nan, np.nan, np.nan, 0.0)
        worlds = self.worlds(values) if worlds is None else worlds
        error = float(self.replicates(worlds).std(ddof=1))
        freedom = _freedom([_means(values, axis) for axis in range(3)])
        return _interval(mean, error, freedom, level)

    def difference(
        self,
        first: Float[np.ndarray, "seed1 draw item"],
        second: Float[np.ndarray, "seed2 draw item"],
        first_worlds: Float32[np.ndarray, "replicate seed1 draw"] | None = None,
        second_worlds: Float32[np.ndarray, "replicate seed2 draw"] | None = None,
        *,
        level: float = 0.95,
    ) -> Interval:
        """First minus second, paired over label draws and test items but not over seeds.

        Two objectives share at most initial weights under one seed. Treating their seeds as
        independent is on the safe side where that makes them alike, and has up to twice the
        degrees of freedom of pairing (Welch 1947), which decides with three seeds.
        """
        mean = float(first.mean(dtype=np.float64) - second.mean(dtype=np.float64))
        first_worlds = self.worlds(first) if first_worlds is None else first_worlds
        second_worlds = self.worlds(second) if second_worlds is None else second_worlds
        replicates = self.replicates(first_worlds) - self.replicates(second_worlds, side=1)
        rest = (first.mean(0) - second.mean(0))[None]
        levels = [_means(first, 0), _means(second, 0), _means(rest, 1), _means(rest, 2)]
        return _interval(mean, float(replicates.std(ddof=1)), _freedom(levels), level)

    def apart(
        self, cells: Sequence[Float32[np.ndarray, "replicate seed draw"]]
    ) -> Float[np.ndarray, "replicate cell"]:
        """Grand means of several cells in every resampled world, their seeds independent."""
        means = [self.replicates(one, side=APART + side) for side, one in enumerate(cells)]
        return np.stack(means, axis=-1)

    def smooth(
        self,
        function: Callable[[Float[np.ndarray, "world cell"]], Float[np.ndarray, "world value"]],
        values: Sequence[Float[np.ndarray, "seed draw item"]],
        worlds: Float[np.ndarray, "replicate cell"],
        *,
        level: float = 0.95,
    ) -> tuple[Interval, ...]:
        """Smooth functions of the means of several cells (see `apart`), with their intervals.

        The degrees of freedom are those of their linear part at the means (the delta method).
        """
        means = np.array([one.mean(dtype=np.float64) for one in values])
        found = function(means[None])[0]
        if max(max(one.shape) for one in values) == 1:
            return tuple(Interval(float(mean), np.nan, np.nan, np.nan, 0.0) for mean in found)
        steps = np.diag(1e-4 * np.abs(means))
        rises = function(means + steps) - function(means - steps)
        slopes = rises / (2 * steps.diagonal()[:, None])
        errors = function(worlds).std(axis=0, ddof=1)
        return tuple(
            _interval(float(mean), float(error), _freedom(_linear(slope, values)), level)
            for mean, error, slope in zip(found, errors, slopes.T, strict=True)
        )

    def _level(self, num: int, stream: int) -> Float[np.ndarray, "replicate level"]:
        if (num, stream) not in self._levels:
            generator = np.random.default_rng([self.seed, stream, num])
            counts = generator.multinomial(num, np.full(num, 1 / num), size=self.num_replicates)
            stretch = (num / (num - 1)) ** 0.5 if num > 1 else 0.0
            self._levels[num, stream] = 1 + stretch * (counts - 1)
        return self._levels[num, stream]


def _interval(mean: float, error: float, freedom: float, level: float) -> Interval:
    reach = error * float(stats.t.ppf(0.5 + level / 2, freedom)) if error > 0 else 0.0
    return Interval(mean, mean - reach, mean + reach, error, freedom)


def _means(values: Float[np.ndarray, "seed draw item"], axis: int) -> Float[np.ndarray, " level"]:
    others = tuple(other for other in range(3) if other != axis)
    means: Float[np.ndarray, " level"] = values.mean(axis=others, dtype=np.float64)
    return means


def _linear(slopes: np.ndarray, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The levels of a sum of means: seeds of each cell, label draws and test items of all."""
    pairs = list(zip(slopes, values, strict=True))
    levels = [slope * _means(one, 0) for slope, one in pairs]
    for axis in (1, 2):
        parts = [slope * _means(one, axis) for slope, one in pairs]
        levels.append(np.sum(np.broadcast_arrays(*parts), axis=0))
    return levels


def _freedom(levels: Sequence[Float[np.ndarray, "..."]]) -> float:
    """Degrees of freedom of a variance that is the sum of those of the levels' means."""
    total, weights = 0.0, 0.0
    for means in levels:
        if len(means) > 1:
            variance = float(means.var(ddof=1)) / len(means)
            total += variance
            weights += variance**2 / (len(means) - 1)
    return total**2 / weights if weights > 0 else float("inf")
