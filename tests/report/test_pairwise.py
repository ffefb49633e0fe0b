"""Verdicts: clear differences are found, none are made up, Holm's correction is Holm's."""

from itertools import combinations

import numpy as np
import pytest

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores, group, resamplings_of
from trivium.report.pairwise import compare, holm, paired
from trivium.report.records import read_entries


def scores(objective: str, values: np.ndarray, resampling: Resampling) -> Scores:
    paradigm = "control" if objective == "raw" else "supervised"
    cell = Cell("d", "label", "image", paradigm, objective, "e", "linear", 0.1, "test", "accuracy")
    values = values.astype(np.float32)
    worlds = resampling.worlds(values)
    seeds, draws = tuple(range(values.shape[0])), tuple(range(values.shape[1]))
    return Scores(cell, seeds, draws, values, worlds, 0, 0, resampling.interval(values, worlds))


@pytest.fixture(scope="module")
def family(grid):
    measured = read_entries(grid)
    resamplings = resamplings_of(measured)
    return compare(group(measured, resamplings), resamplings)


def test_all_pairs_of_each_column_once(family):
    found = family
    assert len(found) == 10 * 2 * 3
    assert len({(one.first, one.second) for one in found}) == len(found)
    assert {one.first.metric for one in found} == {"accuracy"}


def test_clear_differences_are_found_and_equal_cells_are_not_told_apart(family):
    found = {
        (one.first.objective, one.second.objective, one.first.probe, one.first.fraction): one
        for one in family
    }
    key = next(k for k in found if {*k[:2]} == {"simclr", "raw"} and k[2:] == ("linear", 0.01))
    assert found[key].verdict == ("better" if key[0] == "simclr" else "worse")
    tie = next(
        k for k in found if {*k[:2]} == {"simclr", "cross_entropy"} and k[2:] == ("linear", 1.0)
    )
    assert found[tie].verdict == "not distinguishable"
    assert found[tie].low <= 0 <= found[tie].high


def test_swapping_the_two_turns_the_sign():
    generator = np.random.default_rng(0)
    resampling = Resampling(300)
    one = scores("a", generator.random((3, 2, 300)) < 0.8, resampling)
    two = scores("b", generator.random((3, 2, 300)) < 0.6, resampling)
    there, back = paired(one, two, resampling), paired(two, one, resampling)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p, rel=0.5)


def test_the_raw_inputs_only_seed_stands_for_all():
    generator = np.random.default_rng(0)
    resampling = Resampling(300)
    one = scores("a", generator.random((3, 2, 300)) < 0.8, resampling)
    raw = scores("raw", generator.random((1, 2, 300)) < 0.6, resampling)
    found = paired(one, raw, resampling)
    assert found.num_seeds == 3
    assert found.difference == pytest.approx(one.values.mean() - raw.values.mean(), abs=1e-6)


def test_cells_without_a_common_draw_are_not_compared():
    from dataclasses import replace

    resampling = Resampling(20)
    one = scores("a", np.ones((1, 1, 20)), resampling)
    assert paired(one, replace(one, draws=(7,)), resampling) is None


def test_identical_cells_are_not_distinguishable():
    resampling = Resampling(20)
    one = scores("a", np.ones((3, 1, 20)), resampling)
    (found,) = holm([paired(one, one, resampling)])
    assert (found.p, found.verdict) == (1.0, "not distinguishable")


def test_holm_by_hand():
    """p = .01, .04, .03 become .03, .06, .06 (Holm 1979)."""
    resampling = Resampling(20)
    base = paired(*[scores("a", np.ones((1, 1, 20)), resampling)] * 2, resampling)
    members = [
        base._replace(p=p, difference=d) for p, d in ((0.01, -1.0), (0.04, 1.0), (0.03, 1.0))
    ]
    found = holm(members)
    assert [one.adjusted for one in found] == pytest.approx([0.03, 0.06, 0.06])
    assert [one.verdict for one in found] == ["worse", *["not distinguishable"] * 2]


def test_no_family_no_verdicts():
    assert holm([]) == []


def test_equal_objectives_are_rarely_told_apart():
    """Family-wise error: among four equal objectives some pair is told apart in <= 5 % or so."""
    generator, resampling, wrong = np.random.default_rng(1), Resampling(150, num_replicates=300), 0
    for _ in range(100):
        items = generator.normal(size=(1, 1, 150))
        members = [
            scores(
                name,
                1 + items + 0.15 * generator.normal(size=(3, 1, 1))
                + 0.5 * generator.normal(size=(3, 2, 150)) > 0,
                resampling,
            )
            for name in "abcd"
        ]  # fmt: skip
        smallest = min(paired(*pair, resampling).p for pair in combinations(members, 2))
        wrong += 6 * smallest < 0.05  # where Holm's step-down begins
    assert wrong <= 10
