"""Retrieval on scores made by hand: strata, chance, and what the duration control says."""

import numpy as np
import pytest

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores
from trivium.report.pairwise import paired
from trivium.report.retrieval import retrieved
from trivium.report.summary import retrieval

SIZES = {"": 300, "/German": 100, "/Welsh": 200}
RESAMPLINGS = {num: Resampling(num, num_replicates=300) for num in SIZES.values()}


def scores(objective, shares, *, paradigm="self_supervised"):
    """Recall@5 overall and by language, of three seeds; and what the records say of chance."""
    found = []
    for (name, num), share in zip(SIZES.items(), shares, strict=True):
        right = [np.arange(num) < share * num + seed for seed in (-1, 0, 1)]
        found.append(_scores(objective, paradigm, f"recall@5{name}", np.array(right)[:, None]))
        found.append(_scores(objective, paradigm, f"chance@5{name}", np.full((3, 1, 1), 0.05)))
    return [
        *found,
        _scores(objective, paradigm, "median_rank", np.full((3, 1, 1), 7.0)),
        _scores(objective, paradigm, "num_candidates", np.full((3, 1, 1), 100.0)),
    ]


def _scores(objective, paradigm, metric, values, draws=(0,)):
    resampling = RESAMPLINGS.get(values.shape[2], RESAMPLINGS[300])
    values = values.astype(np.float32)
    worlds = resampling.worlds(values)
    cell = Cell("d", "audio to text", "text+audio", paradigm, objective, "towers", "retrieval",
                1.0, "test", metric)  # fmt: skip
    interval = resampling.interval(values, worlds)
    return Scores(cell, (0, 1, 2), draws, values, worlds, 0, 0, interval, "text+audio")


CLIP = scores("clip", (0.5, 0.6, 0.45))
SIGLIP = scores("siglip", (0.4, 0.2, 0.5))
DURATION = scores("duration", (0.4, 0.2, 0.45), paradigm="control")


def test_the_best_over_all_strata_is_set_against_duration():
    found = retrieved([*CLIP, *SIGLIP, *DURATION], (), RESAMPLINGS).strata
    assert found.names == ("German", "Welsh")
    assert {one.first.objective for one in found.verdicts} == {"clip"}
    assert [one.verdict for one in found.verdicts] == ["better", "not distinguishable"]
    assert [one.difference for one in found.verdicts] == pytest.approx([0.4, 0.0], abs=1e-6)
    assert found.chance == pytest.approx((0.05, 0.05))


def test_holm_is_over_the_strata():
    found = retrieved([*CLIP, *SIGLIP, *DURATION], (), RESAMPLINGS).strata
    raw = [paired(CLIP[i], DURATION[i], RESAMPLINGS[n]).p for i, n in ((2, 100), (4, 200))]
    first, second = (one.adjusted for one in found.verdicts)
    assert first == pytest.approx(2 * raw[0])
    assert second == pytest.approx(max(raw[1], first))


def test_without_duration_the_table_and_chance_are_left():
    found = retrieved([*CLIP, *SIGLIP], (), RESAMPLINGS)
    assert found.strata.verdicts == found.strata.sentences == ()
    text = "\n".join(retrieval(found))
    assert "100 candidates of its own stratum; chance finds 5.0 % (recall@5)." in text
    assert "| - | chance | - | 5.0 | 5.0 |" in text


def test_it_is_said_how_often_candidates_were_drawn():
    assert "draws" not in retrieved(CLIP, (), RESAMPLINGS).note
    right = np.random.default_rng(0).random((3, 5, 300)) < 0.3
    drawn = [
        _scores("clip", "self_supervised", "recall@5", right, (0, 1, 2, 3, 4)),
        _scores(
            "clip", "self_supervised", "num_candidates", np.full((3, 5, 1), 100.0), (0, 1, 2, 3, 4)
        ),
    ]
    text = retrieved(drawn, (), RESAMPLINGS).note
    assert "with 100 candidates (mean of 5 draws of one item of each group); chance" in text


def test_the_median_rank_has_no_interval():
    found = retrieved(CLIP, (), RESAMPLINGS)
    assert found.columns == ("recall@5", "median_rank")
    recall, rank = found.rows[0].entries
    assert recall.bounds is not None
    assert (rank.mean, rank.bounds) == (7.0, None)


def test_other_probes_are_no_retrieval():
    assert retrieved([], (), RESAMPLINGS) is None
