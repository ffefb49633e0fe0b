"""Intervals: repeatable, right in closed form, and covering at their nominal rate."""

import numpy as np
import pytest
from scipy import stats

from trivium.report.bootstrap import Resampling


def simulate(
    generator: np.random.Generator,
    shape: tuple[int, int, int],
    spread: tuple[float, float, float],
    height: float = 1.0,
) -> np.ndarray:
    """Right or wrong under a crossed probit model with normal effects per seed, draw and item."""
    score = height + generator.normal(size=shape)
    for axis, scale in enumerate(spread):
        size = [1, 1, 1]
        size[axis] = shape[axis]
        score = score + scale * generator.normal(size=size)
    return (score > 0).astype(np.float32)


def truth(spread: tuple[float, float, float], height: float = 1.0) -> float:
    return float(stats.norm.cdf(height / np.sqrt(1 + np.square(spread).sum())))


def test_equal_seeds_give_equal_intervals():
    values = simulate(np.random.default_rng(0), (3, 5, 200), (0.1, 0.1, 1))
    first, again = Resampling(200).interval(values), Resampling(200).interval(values)
    other = Resampling(200, seed=1).interval(values)
    assert first == again
    assert first != other
    assert first.low == pytest.approx(other.low, abs=0.01)


def test_items_alone_agree_with_the_closed_form():
    values = (np.arange(500) % 5 > 0).astype(np.float32).reshape(1, 1, 500)
    interval = Resampling(500, num_replicates=20_000).interval(values)
    error = values.std(ddof=1) / np.sqrt(500)
    assert interval.mean == pytest.approx(0.8)
    assert interval.error == pytest.approx(error, rel=0.02)
    assert interval.freedom == pytest.approx(499)


def test_seeds_alone_agree_with_students_t():
    """With nothing but three seeds the interval is the textbook's."""
    values = np.array([0.80, 0.83, 0.81]).reshape(3, 1, 1)
    interval = Resampling(1, num_replicates=50_000).interval(values)
    expected = stats.ttest_1samp(values.ravel(), 0).confidence_interval(0.95)
    assert interval.low == pytest.approx(expected.low, abs=0.001)
    assert interval.high == pytest.approx(expected.high, abs=0.001)
    assert interval.freedom == pytest.approx(2)


def test_difference_of_seeds_alone_agrees_with_welch():
    first = np.array([0.80, 0.83, 0.81]).reshape(3, 1, 1)
    second = np.array([0.70, 0.78, 0.71]).reshape(3, 1, 1)
    interval = Resampling(1, num_replicates=50_000).difference(first, second)
    welch = stats.ttest_ind(first.ravel(), second.ravel(), equal_var=False)
    expected = welch.confidence_interval(0.95)
    assert interval.freedom == pytest.approx(welch.df)
    assert interval.low == pytest.approx(expected.low, abs=0.003)
    assert interval.high == pytest.approx(expected.high, abs=0.003)


def test_shared_difficulty_of_items_cancels_in_a_difference():
    generator = np.random.default_rng(0)
    difficulty = generator.normal(size=(1, 1, 400))
    first = (difficulty + 0.1 * generator.normal(size=(3, 5, 400)) > -0.5).astype(np.float32)
    second = (difficulty + 0.1 * generator.normal(size=(3, 5, 400)) > -0.3).astype(np.float32)
    resampling = Resampling(400)
    both = resampling.interval(first), resampling.interval(second)
    difference = resampling.difference(first, second)
    assert difference.mean == pytest.approx(both[0].mean - both[1].mean)
    assert difference.error < 0.6 * min(one.error for one in both)


def test_nothing_that_varies_gives_no_interval():
    interval = Resampling(10).interval(np.full((1, 1, 1), 0.5))
    assert interval.mean == 0.5
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


def test_other_number_of_items_is_refused():
    with pytest.raises(ValueError, match="scores of 4 items, expected 5"):
        Resampling(5).interval(np.zeros((1, 1, 4)))


@pytest.mark.parametrize(
    ("shape", "spread"),
    [
        ((3, 5, 200), (0.0, 0.0, 1.0)),
        ((3, 5, 200), (0.3, 0.05, 1.0)),
        ((3, 5, 200), (0.05, 0.3, 1.0)),
        ((3, 1, 200), (0.3, 0.0, 1.0)),
        ((3, 1, 200), (0.1, 0.0, 1.0)),
    ],
    ids=["items", "seeds", "draws", "seeds, all labels", "both, all labels"],
)
def test_intervals_cover_at_three_seeds(shape, spread):
    generator = np.random.default_rng(3)
    resampling = Resampling(shape[2], num_replicates=300)
    target = truth(spread)
    intervals = [resampling.interval(simulate(generator, shape, spread)) for _ in range(400)]
    share = np.mean([one.low <= target <= one.high for one in intervals])
    assert share >= 0.90


def test_a_percentile_bootstrap_would_not_cover():
    """Why the corrections are there: the plain bootstrap over three seeds misses far too often."""
    generator, spread = np.random.default_rng(3), (0.3, 0.0, 1.0)
    target, hits = truth(spread), 0
    for _ in range(300):
        means = simulate(generator, (3, 1, 200), spread).mean((1, 2))
        resampled = means[generator.integers(3, size=(200, 3))].mean(1)
        low, high = np.quantile(resampled, [0.025, 0.975])
        hits += low <= target <= high
    assert hits / 300 < 0.85


def test_differences_cover_nothing_where_nothing_is():
    """Two equal objectives: at most about 5 % of the intervals exclude zero."""
    generator, spread = np.random.default_rng(5), (0.2, 0.0, 0.0)
    resampling, misses = Resampling(200, num_replicates=300), 0
    for _ in range(300):
        items = generator.normal(size=(1, 1, 200))
        pair = [
            (
                1 + items + spread[0] * generator.normal(size=(3, 1, 1))
                + generator.normal(size=(3, 3, 200)) > 0
            ).astype(np.float32)
            for _ in range(2)
        ]  # fmt: skip
        interval = resampling.difference(*pair)
        misses += not interval.low <= 0 <= interval.high
    assert misses / 300 <= 0.08
