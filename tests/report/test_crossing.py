"""Crossings against closed forms, and the coverage of their intervals in simulated worlds."""

import numpy as np
import pytest
from scipy import stats

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores
from trivium.report.crossover import by_labels, over_seeds, race

FRACTIONS = (0.01, 0.1, 1.0)
DENSE = np.linspace(0, 1, 1001)


def steady(difference, error=0.1, freedom=np.inf):
    return race(DENSE, difference, np.full(1001, error), np.full(1001, freedom))


def test_a_line_crosses_where_algebra_says():
    found = steady(DENSE - 0.3)
    (one,) = found.crossings
    reach = 0.1 * stats.norm.ppf(0.975)
    assert one.at == pytest.approx(0.3)
    assert (one.low, one.high) == pytest.approx((0.3 - reach, 0.3 + reach), abs=2e-3)
    assert (found.leads_first, found.leads_last, found.is_told) == (False, True, True)


def test_few_degrees_of_freedom_widen_the_interval():
    (one,) = steady(DENSE - 0.5, error=0.05, freedom=2.0).crossings
    assert one.high - 0.5 == pytest.approx(0.05 * stats.t.ppf(0.975, 2), abs=2e-3)


def test_what_nothing_bounds_is_open():
    (one,) = steady(DENSE - 0.3, error=0.2).crossings
    assert one.low is None
    assert one.high == pytest.approx(0.3 + 0.2 * 1.96, abs=2e-3)
    (one,) = steady(0.9 - DENSE, error=0.2).crossings
    assert one.high is None
    found = steady(DENSE - 0.3, error=np.nan)
    assert found.crossings[0][1:] == (None, None)
    assert not found.is_told


def test_curves_that_never_cross():
    found = steady(0.2 + DENSE)
    assert found.crossings == ()
    assert (found.leads_first, found.leads_last, found.is_told) == (True, True, True)
    assert not steady(0.1 + 0 * DENSE).is_told


def test_each_crossing_counts_and_a_touch_does_not():
    found = steady((DENSE - 0.2) * (DENSE - 0.7))
    assert [one.at for one in found.crossings] == pytest.approx([0.2, 0.7], abs=1e-3)
    assert steady((DENSE - 0.5) ** 2).crossings == ()


def scores(objective, arrays, resampling):
    found = []
    for fraction, values in zip(FRACTIONS, arrays, strict=True):
        cell = Cell("d", "t", "image", "control", objective, "e", "linear", fraction, "test", "a")
        values = values.astype(np.float32)
        worlds = resampling.worlds(values)
        interval = resampling.interval(values, worlds)
        seeds, draws = (tuple(range(num)) for num in values.shape[:2])
        found.append(Scores(cell, seeds, draws, values, worlds, 0, 0, interval))
    return found


def test_shares_of_labels_are_interpolated_on_a_logarithm():
    resampling = Resampling(4, num_replicates=50)
    flat = [np.full((2, 1, 4), value) for value in (0.4, 0.6, 0.7)]
    other = [np.full((2, 1, 4), value) for value in (0.5, 0.6 - 0.05, 0.9)]
    found = by_labels(
        scores("a", flat, resampling), scores("b", other, resampling), {4: resampling}
    )
    # -0.1 at 1 % and +0.05 at 10 %: two thirds of the way; then +0.05 and -0.2: one fifth.
    assert [one.at for one in found.crossings] == pytest.approx([10 ** (-2 + 2 / 3), 10**-0.8])
    assert (found.start, found.end) == pytest.approx((0.01, 1.0))


def test_one_share_of_labels_has_no_curve():
    resampling = Resampling(4, num_replicates=50)
    one = scores("a", [np.full((2, 1, 4), 0.5)] * 3, resampling)[:1]
    assert by_labels(one, one, {4: resampling}) is None


def simulated(luck, levels, items, pulls):
    """Three seeds, five draws below all labels, 200 items; items and draws are shared."""
    arrays = []
    for at, level in enumerate(levels):
        num_draws = 1 if at == 2 else 5
        shift = level + pulls[at][:num_draws] + 0.03 * luck.normal(size=(3, 1))
        arrays.append(shift[..., None] + items + 0.2 * luck.normal(size=(3, num_draws, 200)))
    return arrays


def test_intervals_on_the_axis_of_labels_hold_the_truth():
    # -0.06, -0.02, +0.06: the truth is one quarter of the way from 10 % to 100 %.
    held, num = 0, 120
    for world in range(num):
        luck = np.random.default_rng(world)
        resampling = Resampling(200, num_replicates=200, seed=world)
        items, pulls = 0.4 * luck.normal(size=200), 0.03 * luck.normal(size=(3, 5))
        first = simulated(luck, (0.3, 0.5, 0.7), items, pulls)
        second = simulated(luck, (0.36, 0.52, 0.64), items, pulls)
        found = by_labels(
            scores("a", first, resampling), scores("b", second, resampling), {200: resampling}
        )
        held += holds(found, 10**-0.75)
    assert held / num >= 0.88


def holds(found, truth):
    """Whether an interval of a crossing holds the truth; of no crossing, whether none is told."""
    if not found.crossings:
        return False
    return any(
        (one.low is None or one.low <= truth) and (one.high is None or truth <= one.high)
        for one in found.crossings
    )


def test_intervals_over_seeds_hold_the_truth():
    held, num, x = 0, 400, np.geomspace(1, 100, 6)
    for world in range(num):
        luck = np.random.default_rng(world)
        rising, level = (
            [(x.tolist(), (y + 0.02 * luck.normal()).tolist()) for _ in range(3)]
            for y in (0.3 + 0.1 * np.log10(x), 0.4 + 0 * x)
        )
        held += holds(over_seeds(rising, level), 10.0)
    assert 0.9 <= held / num <= 0.99


def test_seeds_of_other_looks_meet_where_all_of_them_reach():
    first = [([2.0, 10.0], [0.0, 0.8]), ([1.0, 8.0, 20.0], [0.0, 0.7, 1.9])]
    second = [([1.0, 12.0], [0.5, 0.5])] * 2
    found = over_seeds(first, second)
    assert (found.start, found.end) == pytest.approx((2, 10))
    # Both rise by 0.1 from 2 and 1 on: mean 0.1 x - 0.15.
    assert found.crossings[0].at == pytest.approx(6.5, abs=1e-3)


def test_a_single_seed_has_a_crossing_without_bounds():
    found = over_seeds([([1, 9], [0, 0.8])], [([1, 9], [0.4, 0.4])])
    assert found.crossings[0].at == pytest.approx(5, abs=1e-3)
    assert found.crossings[0][1:] == (None, None)


@pytest.mark.parametrize("second", [[], [([20.0, 30.0], [0.5, 0.5])]])
def test_nothing_shared_is_no_race(second):
    assert over_seeds([([1.0, 10.0], [0.0, 1.0])], second) is None
