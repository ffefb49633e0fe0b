"""Fits along a ladder: exact laws, intervals that cover, and clear words where none can be."""

import numpy as np
import pytest
from scipy import stats

from trivium.report.bootstrap import Interval, Resampling
from trivium.report.scaling import compared, fitted
from trivium.report.scaling_points import AXES, Measure, Method, ScalingPoint, points_along
from trivium.report.scaling_text import floor_of, gain, headline

PARAMETERS, FLOPS, ITEMS = AXES
ERROR = Measure("test error, 100 % of the labels", 1.0)
X = np.array([1e4, 4e4, 1.6e5, 6.4e5])
NUM_ITEMS = 400


@pytest.fixture(scope="module")
def resampling():
    return Resampling(NUM_ITEMS, num_replicates=400)


def way(resampling, values, name="mae", x=X):
    """A ladder over parameters with given values, one [seed, draw, item] per rung."""
    rungs = [
        ScalingPoint(
            f"w{at:g}", int(at), int(at), 100, 50, {ERROR: v}, {ERROR: resampling.worlds(v)}
        )
        for at, v in zip(x, values, strict=True)
    ]
    return Method("self_supervised", name, tuple(rungs))


def simulated(generator, errors, *, num_seeds=3, spread=0.15):
    """Wrong or right with given mean errors: items that are hard for all, and luck of the seed."""
    hard = generator.normal(size=(1, 1, NUM_ITEMS))
    found = []
    for error in errors:
        noise = spread * generator.normal(size=(num_seeds, 1, 1)) + hard
        scale = np.sqrt(1 + spread**2)
        found.append((noise < stats.norm.ppf(error) * scale).astype(np.float32))
    return found


def test_an_exact_power_law_is_recovered_with_no_doubt(resampling):
    values = [np.full((2, 1, NUM_ITEMS), 2 * x**-0.25) for x in X]
    fit = fitted(PARAMETERS, ERROR, way(resampling, values), resampling)
    assert fit.off == ""
    assert fit.slope.mean == pytest.approx(0.25, abs=1e-6)
    assert fit.slope.error == pytest.approx(0, abs=1e-5)
    assert fit.factor == pytest.approx(2, rel=1e-4)
    assert fit.misfit < 1e-5
    assert fit.floor is None
    assert fit.note == "no floor can be told from 0"


def test_a_floor_is_recovered_where_four_rungs_show_it(resampling):
    generator = np.random.default_rng(0)
    errors = [40 * x**-0.6 + 0.2 for x in X]
    values = [
        np.full((3, 1, NUM_ITEMS), error) + 0.002 * generator.normal(size=(3, 1, 1))
        for error in errors
    ]
    fit = fitted(PARAMETERS, ERROR, way(resampling, values), resampling)
    assert fit.floor.low < 0.2 < fit.floor.high
    assert fit.exponent.low < 0.6 < fit.exponent.high
    assert fit.exponent.mean > fit.slope.mean
    assert floor_of(fit).startswith(f"{100 * fit.floor.mean:.1f} [")
    three = fitted(PARAMETERS, ERROR, way(resampling, values[:3], x=X[:3]), resampling)
    assert three.floor is None
    assert three.note == "3 rungs: a floor needs 4 or more"


def test_a_rung_that_no_law_explains_is_named(resampling):
    errors = 2 * X**-0.25
    errors[3] *= 1.5
    values = simulated(np.random.default_rng(1), errors, spread=0.02)
    fit = fitted(PARAMETERS, ERROR, way(resampling, values), resampling)
    assert "above it" in fit.off or "below it" in fit.off
    assert fit.floor is None
    straight = simulated(np.random.default_rng(1), 2 * X**-0.25, spread=0.02)
    assert fitted(PARAMETERS, ERROR, way(resampling, straight), resampling).off == ""


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_intervals_of_an_exponent_cover(num_seeds):
    generator, hits, num = np.random.default_rng(num_seeds), 0, 250
    resampling = Resampling(NUM_ITEMS, num_replicates=200)
    errors = 2 * X[:3] ** -0.2  # too few for a floor, which costs time
    for _ in range(num):
        values = simulated(generator, errors, num_seeds=num_seeds)
        slope = fitted(PARAMETERS, ERROR, way(resampling, values, x=X[:3]), resampling).slope
        hits += slope.low <= 0.2 <= slope.high
    # Not fewer than 95 of 100, but for what is left to chance and to the t approximation.
    assert stats.binomtest(hits, num, 0.93, alternative="less").pvalue > 0.01
    assert hits < num


def test_equal_exponents_are_rarely_told_apart(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels collects each time: slow in a test
    generator, misses, num = np.random.default_rng(9), 0, 100
    resampling = Resampling(NUM_ITEMS, num_replicates=200)
    for _ in range(num):
        fits = [
            fitted(
                PARAMETERS, ERROR,
                way(resampling, simulated(generator, factor * X[:3] ** -0.2), str(factor), X[:3]),
                resampling,
            )
            for factor in (1.2, 2.0, 3.0)
        ]  # fmt: skip
        misses += any(one.verdict != "not distinguishable" for one in compared(fits, resampling))
    assert stats.binomtest(misses, num, 0.05, alternative="greater").pvalue > 0.01


def test_different_exponents_are_told_apart_and_said_so(resampling):
    generator = np.random.default_rng(4)
    ways = [
        way(resampling, simulated(generator, factor * X**-b, spread=0.02), name)
        for name, factor, b in (("mae", 4, 0.3), ("vae", 0.6, 0.05))
    ]
    fits = [fitted(PARAMETERS, ERROR, one, resampling) for one in ways]
    (contest,) = compared(fits, resampling)
    assert contest.verdict == "falls faster"
    assert contest.difference.low < 0.25 < contest.difference.high
    assert headline(PARAMETERS, [contest]) == "More parameters of the encoder: MAE gains most"
    turned = compared(fits[::-1], resampling)
    assert turned[0].verdict == "falls slower"
    assert headline(PARAMETERS, turned) == headline(PARAMETERS, [contest])


def test_seeds_alone_agree_with_welch(resampling):
    """The difference of two cells' means is the smooth function whose interval a textbook has."""
    values = [np.array(v).reshape(3, 1, 1) for v in ([0.80, 0.83, 0.81], [0.70, 0.78, 0.71])]
    resampling = Resampling(1, num_replicates=50_000)
    worlds = resampling.apart([resampling.worlds(one) for one in values])
    (found,) = resampling.smooth(lambda y: (y[:, 0] - y[:, 1])[:, None], values, worlds)
    welch = stats.ttest_ind(*(one.ravel() for one in values), equal_var=False)
    expected = welch.confidence_interval(0.95)
    assert found.freedom == pytest.approx(welch.df, rel=1e-4)
    assert found.low == pytest.approx(expected.low, abs=0.003)
    assert found.high == pytest.approx(expected.high, abs=0.003)


def test_one_value_per_rung_has_no_interval(resampling):
    values = [np.full((1, 1, 1), 2 * x**-0.25) for x in X]
    fit = fitted(PARAMETERS, ERROR, way(resampling, values), resampling)
    assert fit.slope.mean == pytest.approx(0.25, abs=1e-6)
    assert np.isnan(fit.slope.low)
    assert gain(fit.slope) == "44 % fewer errors (no interval)"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((0.10, 0.05, 0.15), "21 % [11, 29] fewer errors"),
        ((-0.10, -0.15, -0.05), "26 % [12, 41] more errors"),
        ((-0.001, -0.05, 0.05),
         "no change that can be told from none (0 % [-12, 11] fewer errors)"),
    ],
)  # fmt: skip
def test_an_exponent_is_said_in_errors_at_ten_times_as_much(bounds, words):
    assert gain(Interval(*bounds, 0.02, 9.0)) == words


def test_two_rungs_are_drawn_and_not_fitted(resampling):
    values = simulated(np.random.default_rng(0), [0.4, 0.3])
    fit = fitted(PARAMETERS, ERROR, way(resampling, values, x=X[:2]), resampling)
    assert fit.slope is None
    assert fit.note == "2 rungs: a line needs 3 or more"
    assert len(fit.points) == 2
    assert compared([fit, fit], resampling) == []


def test_a_line_is_of_the_most_rungs_that_differ_in_one_quantity_alone():
    def rung(name, num_parameters, flops, samples, items):
        return ScalingPoint(name, num_parameters, flops, samples, items, {}, {})

    one = Method("supervised", "x", (
        rung("middle", 20, 200, 10, 9), rung("wide", 40, 400, 10, 9),
        rung("narrow", 10, 100, 10, 9), rung("long", 20, 800, 40, 9),
        rung("few", 20, 200, 10, 3), rung("fewer", 20, 200, 10, 1),
    ))  # fmt: skip
    names = [[rung.name for rung in points_along(axis, one)] for axis in AXES]
    assert names == [["narrow", "middle", "wide"], ["middle", "long"], ["fewer", "few", "middle"]]
    assert points_along(ITEMS, one._replace(rungs=one.rungs[:4])) == ()


def test_an_axis_without_verdicts_has_a_plain_headline():
    assert headline(FLOPS, []) == "More training FLOPs: too few rungs or ways to compare"
