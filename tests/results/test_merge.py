"""Parts replace what they repeat and nothing else; means of several parts come from the records."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from report.fabricated import fabricate
from trivium.results.merge import merged, student

from .published import ENVIRONMENT, compare, publish
from .test_files import same

SKILL = {0.01: 0.3, 0.1: 0.8, 1.0: 1.2}


@pytest.fixture(scope="module")
def parts(folder):
    return {name: publish(folder, datasets=[name]) for name in ("dots", "shapes")}


@given(st.lists(st.sampled_from(["dots", "shapes"]), min_size=1, max_size=4))
@settings(max_examples=10, deadline=None)
def test_parts_give_the_whole_in_any_order_and_however_often(results, parts, order):
    found = None
    for name in order:
        found = merged(found, parts[name])
    if set(order) == {"dots", "shapes"}:
        same(found, results)
    else:
        same(found, parts[order[0]])


def test_every_run_knows_its_environment(parts):
    other = dict(ENVIRONMENT, cpu="aarch64 sve")
    found = merged(parts["dots"], publish_with(parts["shapes"], other))
    by_part = found.runs.groupby("dataset")["part"].unique()
    assert {name: list(one) for name, one in by_part.items()} == {
        "dots": ["default/dots"],
        "shapes": ["default/shapes"],
    }
    assert found.parts["default/dots"]["cpu"] != found.parts["default/shapes"]["cpu"]


def publish_with(one, environment):
    from dataclasses import replace

    return replace(one, parts={name: {**facts, **environment} for name, facts in one.parts.items()})


def write(root, objectives, seeds, skill=SKILL):
    entries = [
        fabricate(root, name, paradigm, skill, seed=seed, with_run=False)
        for name, paradigm in objectives.items()
        for seed in seeds
    ]
    return compare(root, entries)


WAYS = {"simclr": "self_supervised", "vae": "unsupervised"}


def test_another_grid_replaces_the_runs_it_repeats_alone(tmp_path):
    old = publish(write(tmp_path / "a", WAYS, (0, 1)))
    better = {0.01: 0.9, 0.1: 1.4, 1.0: 2.0}
    new = publish(write(tmp_path / "b", {"simclr": "self_supervised"}, (0, 1), better), "all")
    found = merged(old, new)
    parts = found.runs.groupby("objective")["part"].unique()
    assert list(parts["simclr"]) == ["all/shapes"]
    assert list(parts["vae"]) == ["default/shapes"]
    assert set(found.parts) == {"all/shapes", "default/shapes"}
    assert len(found.records) == len(old.records)
    kept = found.records[found.records["objective"] == "vae"].reset_index(drop=True)
    before = old.records[old.records["objective"] == "vae"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    # The old comparisons were with the old simclr.
    assert len(old.comparisons) > 0
    assert found.comparisons.empty
    leading = found.cells[found.cells["leads"]]
    assert set(leading["objective"]) == {"simclr"}


def test_a_part_that_lost_a_run_loses_its_records(tmp_path):
    old = publish(write(tmp_path / "a", WAYS, (0, 1)))
    found = merged(old, publish(write(tmp_path / "b", {"simclr": "self_supervised"}, (0, 1))))
    for table in (found.runs, found.records, found.cells):
        assert set(table["objective"]) == {"simclr"}
    assert found.comparisons.empty


def test_seeds_of_two_parts_share_a_mean_made_from_the_records(tmp_path):
    old = publish(write(tmp_path / "a", WAYS, (0, 1)))
    new = publish(write(tmp_path / "b", {"simclr": "self_supervised"}, (2,)), "more")
    found = merged(old, new)
    cells = found.cells[(found.cells["objective"] == "simclr") & (found.cells["probe"] == "linear")]
    cells = cells[(cells["metric"] == "accuracy") & (cells["split"] == "test")]
    assert set(cells["seeds"]) == {"0 1 2"}
    assert set(cells["covers"]) == {"seeds"}
    cell = cells[cells["fraction"] == 0.1].iloc[0]
    records = found.records
    mine = records[(records["objective"] == "simclr") & (records["probe"] == "linear")]
    mine = mine[(mine["fraction"] == 0.1) & (mine["metric"] == "accuracy")]
    means = mine.groupby("seed")["value"].mean()
    assert cell["mean"] == pytest.approx(means.mean())
    low, high = stats.t.interval(0.95, 2, means.mean(), stats.sem(means))
    assert cell["low"] == pytest.approx(low)
    assert cell["high"] == pytest.approx(high)
    assert found.comparisons.empty
    vae = found.cells[found.cells["objective"] == "vae"]
    assert set(vae["seeds"]) == {"0 1"}
    assert "seeds" not in set(vae[vae["metric"] == "accuracy"]["covers"])


def test_two_protocols_never_mix(parts):
    from dataclasses import replace

    other = replace(parts["shapes"], protocol="2")
    with pytest.raises(ValueError, match="protocol 2 cannot join results of protocol 1"):
        merged(parts["dots"], other)
    assert merged(replace(parts["shapes"], protocol="0"), other).protocol == "2"


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6))
def test_students_interval_is_scipys(values):
    mean, low, high = student(values)
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    assert (mean, low, high) == pytest.approx((np.mean(values), mean - half, mean + half))
