"""Power laws: exact ones are recovered, noisy ones as SciPy fits them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from trivium.report.power_law import floored, pure

X = np.array([1e4, 4e4, 1.6e5, 6.4e5, 2.56e6])
factors, exponents = st.floats(0.1, 50), st.floats(0.05, 1.2)


@given(factors, st.floats(-0.5, 1.5))
def test_an_exact_power_law_is_recovered(factor, exponent):
    law = pure(X, factor * X[None] ** -exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.factor == pytest.approx(factor, rel=1e-6)
    assert law.floor == 0


@given(factors, st.floats(0.15, 1.2), st.floats(0.1, 2.0))
def test_an_exact_law_with_a_floor_is_recovered(factor, exponent, share):
    floor = share * factor * X[-2] ** -exponent
    y = factor * X[None] ** -exponent + floor
    law = floored(X, y)
    np.testing.assert_allclose(law.at(X), y, rtol=1e-4)
    assert law.exponent == pytest.approx(exponent, rel=0.05)
    assert law.floor == pytest.approx(floor, rel=0.1)


@given(factors, exponents)
def test_no_floor_is_found_where_there_is_none(factor, exponent):
    y = factor * X[None] ** -exponent
    law = floored(X, y)
    assert law.floor <= 1e-3 * y.min()
    assert law.exponent == pytest.approx(exponent, rel=5e-3)


def test_many_curves_are_fitted_as_each_alone():
    generator = np.random.default_rng(0)
    y = (3 * X**-0.3 + 0.05) * np.exp(0.02 * generator.normal(size=(6, 5)))
    for fit in (pure, floored):
        together = fit(X, y)
        alone = [fit(X, one[None]).exponent[0] for one in y]
        np.testing.assert_allclose(alone, together.exponent, rtol=1e-9)


def test_a_line_through_logarithms_is_that_of_scipy():
    y = 2 * X**-0.2 * np.exp(0.1 * np.random.default_rng(1).normal(size=5))
    line = stats.linregress(np.log(X), np.log(y))
    law = pure(X, y[None])
    assert law.exponent == pytest.approx(-line.slope)
    assert np.log(law.factor) == pytest.approx(line.intercept)


def test_noisy_laws_with_a_floor_are_fitted_no_worse_than_by_scipy():
    generator, away = np.random.default_rng(2), np.log(X) - np.log(X).mean()
    for _ in range(25):
        y = (3 * X**-0.3 + 0.05) * np.exp(0.03 * generator.normal(size=5))

        def deviation(theta, y=y):
            return np.log(np.exp(theta[0] - theta[1] * away) + theta[2]) - np.log(y)

        found = optimize.least_squares(
            deviation, [np.log(y.mean()), 0.3, y.min() / 2], bounds=([-50, 0, 0], [50, 8, y.min()])
        )
        mine = np.square(np.log(floored(X, y[None]).at(X)) - np.log(y)).sum()
        assert mine <= 2 * found.cost * (1 + 1e-3) + 1e-12
