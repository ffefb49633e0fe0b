"""Runs made again against their records: every verdict, and the interval they rest on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trivium.results.verify import (
    NUMBER,
    Rerun,
    Verdict,
    choose,
    compared,
    differences,
    figures,
    prediction,
)
from trivium.stages import verify

from .published import ENVIRONMENT, made

ELSEWHERE = ["cpu"]
SAME = made("dots-simclr", 1)


@pytest.fixture
def chosen(results):
    return next(one for one in choose(results, 100, 0) if one.name == "dots-simclr-1")


@pytest.fixture
def again(results, chosen):
    mine = results.records.merge(chosen.rows[["dataset", "task", "objective", "seed"]])
    return mine[[*NUMBER, "value"]].copy()


def shifted(again, by, *, fractions=(0.01, 0.1, 1.0)):
    moved = again.copy()
    moved.loc[moved["fraction"].isin(fractions), "value"] += by
    return moved


def test_the_choice_is_random_but_repeats(results):
    names = [one.name for one in choose(results, 3, 0)]
    assert len(set(names)) == 3
    assert [one.name for one in choose(results, 3, 0)] == names
    assert any([o.name for o in choose(results, 3, seed)] != names for seed in range(1, 5))
    every = choose(results, 100, 0)
    assert len(every) == 2 * (4 * 3 + 1)
    assert sum(len(one.rows) for one in every) == len(results.runs)


def test_the_same_values_in_the_same_environment_are_equal(results, chosen, again):
    verdict = compared(results, chosen, again.sample(frac=1, random_state=0), [])
    assert verdict.word == "equal"
    assert verdict.detail.startswith(f"{len(again)} records")
    assert not verdict.is_failure


def test_one_bit_is_a_difference_in_the_same_environment_alone(results, chosen, again):
    again.iloc[7, -1] = np.nextafter(again.iloc[7, -1], 2)
    verdict = compared(results, chosen, again, [])
    assert verdict.word == "different"
    assert verdict.is_failure
    assert f"1 of {len(again)} records" in verdict.detail
    assert compared(results, chosen, again, ELSEWHERE).word == "within"


def test_elsewhere_a_small_shift_is_within_and_a_large_one_outside(results, chosen, again):
    assert compared(results, chosen, shifted(again, 0.002), ELSEWHERE).word == "within"
    verdict = compared(results, chosen, shifted(again, -0.5), ELSEWHERE)
    assert verdict.word == "outside"
    assert "another cpu" in verdict.detail
    assert verdict.is_failure


def test_one_figure_of_six_outside_is_no_more_than_chance(results, chosen, again):
    kept = again["probe"] == "knn"
    moved = pd.concat([again[kept], shifted(again[~kept], -0.5, fractions=(0.01,))])
    assert sum(not one.is_inside for one in figures(results, chosen, moved)) == 1
    assert compared(results, chosen, moved, ELSEWHERE).word == "within"
    two = pd.concat([again[kept], shifted(again[~kept], -0.5, fractions=(0.01, 0.1))])
    assert compared(results, chosen, two, ELSEWHERE).word == "outside"


def test_a_missing_record_is_a_difference(results, chosen, again):
    verdict = compared(results, chosen, again.iloc[1:], [])
    assert verdict.word == "different"
    assert "1 of" in verdict.detail


def test_fine_tuning_is_not_made_again(results, chosen, again):
    from dataclasses import replace

    tuned = results.records.assign(probe="finetune").drop_duplicates()
    more = replace(results, records=pd.concat([results.records, tuned]))
    assert compared(more, chosen, again, []).word == "equal"


def test_a_cell_of_one_seed_has_its_published_interval(results):
    raw = next(one for one in choose(results, 100, 0) if one.name == "dots-raw-0")
    mine = results.records.merge(raw.rows[["dataset", "task", "objective", "seed"]])
    cells = results.cells.query("dataset == 'dots' and objective == 'raw'")
    for one in figures(results, raw, mine):
        cell = cells[np.isclose(cells["low"], one.low) & np.isclose(cells["high"], one.high)]
        assert len(cell) == 1
        assert one.again == pytest.approx(cell["mean"].item(), abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6))
def test_the_prediction_interval_is_the_formula(values):
    low, high = prediction(values)
    n, s = len(values), np.std(values, ddof=1)
    half = stats.t.ppf(0.975, n - 1) * s * np.sqrt(1 + 1 / n)
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_the_prediction_interval_holds_one_more_value_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(20_000, 4))
    inside = [low <= row[3] <= high for row in draws[:3000] for low, high in [prediction(row[:3])]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


versions = st.dictionaries(st.sampled_from(["torch", "numpy", "timm"]), st.sampled_from("12"))


@given(versions, versions)
@settings(max_examples=30)
def test_environments_differ_in_what_both_have(first, second):
    one, two = ({**ENVIRONMENT, "libraries": found} for found in (first, second))
    wanted = {name for name in first if name in second and first[name] != second[name]}
    assert set(differences(one, two)) == wanted
    assert differences(one, {**one, "cpu": "x86_64 avx2 bf16"}) == ["cpu"]
    assert differences(one, {**one, "num_cores": 64, "commit": "x"}) == []


def test_the_stage_gives_each_verdict(results, chosen, again, monkeypatch):
    """Everything but the running itself: today's recipe, what was made, and its environment."""
    record = chosen.rows.iloc[0].to_dict()
    monkeypatch.setattr(verify, "run_stage", lambda *_: None)

    def verdict(*, recipe=SAME, environment=ENVIRONMENT, records=again):
        monkeypatch.setattr("trivium.results.verify.rerun", lambda *_: recipe)

        def write(_chosen, scratch: Path, _environment):
            (scratch / "run").mkdir()
            (scratch / "probe").mkdir()
            (scratch / "run" / "environment.json").write_text(json.dumps(environment))
            facts = {name: record[name] for name in ("objective", "encoder")}
            facts["modality"] = "image"
            rows = records.drop(columns=["objective", "encoder", "modality"])
            content = {"facts": facts, "records": rows.to_dict("records")}
            (scratch / "probe" / "probe.json").write_text(json.dumps(content))

        return verify.verified(results, chosen, write)

    assert verdict().word == "equal"
    assert verdict(records=shifted(again, 0.01)).word == "different"
    elsewhere = {**ENVIRONMENT, "cpu": "aarch64 sve"}
    assert verdict(records=shifted(again, 0.002), environment=elsewhere).word == "within"
    assert verdict(records=shifted(again, -0.5), environment=elsewhere).word == "outside"
    changed = verdict(recipe=SAME._replace(numerics="{}", data="e" * 64))
    assert changed == Verdict("dots-simclr-1", "changed", "another data and numerics")
    assert not changed.is_failure


def test_the_end_says_what_changed_and_fails_on_deviations(capsys):
    good = Verdict("a-0", "equal", "")
    changed = Verdict("b-1", "changed", "")
    verify.summary([good, changed], "0.1")
    said = capsys.readouterr().out
    assert "changed since 0.1: b-1" in said
    assert "1 of 2 runs are as published in 0.1" in said
    for word in ("different", "outside", "failed"):
        with pytest.raises(RuntimeError, match=r"not as published in 0\.1: c-2"):
            verify.summary([good, Verdict("c-2", word, "")], "0.1")


def test_a_recipe_changes_with_what_it_names():
    one = Rerun("d", "s", "n", (), ())
    for name in ("data", "settings", "numerics"):
        assert one.changed({**one._asdict(), name: "other"}) == [name]
    assert one.changed(one._asdict()) == []
