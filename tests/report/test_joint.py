"""Towers against encoders of one modality, on scores made by hand."""

import numpy as np
import pytest

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores
from trivium.report.joint import ANY, joint_comparisons
from trivium.report.pairwise import compare
from trivium.report.summary import pairings

NUM_ITEMS = 400
RESAMPLING = Resampling(NUM_ITEMS, num_replicates=300)


def scores(objective, share, *, paradigm="self_supervised", modality="image", trained=None):
    """Three seeds that are right about the first so many items, give or take one."""
    right = [np.arange(NUM_ITEMS) < share * NUM_ITEMS + seed for seed in (-1, 0, 1)]
    values = np.array(right, dtype=np.float32)[:, None]
    worlds = RESAMPLING.worlds(values)
    encoder = "towers" if trained else "alone"
    cell = Cell("d", "t", modality, paradigm, objective, encoder, "linear", 0.1, "test", "accuracy")
    interval = RESAMPLING.interval(values, worlds)
    return Scores(cell, (0, 1, 2), (0,), values, worlds, 0, 0, interval, trained or modality)


def found(*members):
    return joint_comparisons(members, compare(members, {NUM_ITEMS: RESAMPLING}))


@pytest.mark.parametrize(
    ("alone", "tower", "verdict", "words"),
    [
        (0.5, 0.7, "better", "Learning with text helps the image encoder with 10 % of the labels"),
        (0.7, 0.5, "worse", "Learning with text does not help the image encoder with 10 %"),
        (0.6, 0.6, "not distinguishable", "is not distinguishable from learning alone"),
    ],
)
def test_the_sentence_says_the_verdict(alone, tower, verdict, words):
    (one,) = found(scores("simclr", alone), scores("clip", tower, trained="image+text"))
    pairing = one.pairings[0]
    assert (pairing.paradigm, pairing.comparison.verdict) == (ANY, verdict)
    assert pairing.comparison.difference == pytest.approx(tower - alone, abs=1e-6)
    (sentence,) = one.sentences
    assert words in sentence
    assert f"{100 * (tower - alone):+.1f} points [" in sentence
    assert f"| {verdict} |" in pairings(one)


def test_the_best_of_each_kind_speak_and_controls_do_not():
    (one,) = found(
        scores("simclr", 0.5),
        scores("mae", 0.55),
        scores("untrained", 0.9, paradigm="control"),
        scores("clip", 0.6, trained="image+text"),
        scores("siglip", 0.58, trained="image+text"),
        scores("untrained", 0.95, paradigm="control", trained="image+text"),
    )
    names = {(o.alone.cell.objective, o.tower.cell.objective) for o in one.pairings}
    assert names == {("mae", "clip")}


def test_paradigms_are_compared_with_themselves_too():
    (one,) = found(
        scores("simclr", 0.7),
        scores("cross_entropy", 0.5, paradigm="supervised"),
        scores("clip", 0.4, trained="image+text"),
        scores("cross_entropy", 0.8, paradigm="supervised", trained="image+text"),
    )
    pairs = {
        o.paradigm: (o.alone.cell.objective, o.tower.cell.objective, o.comparison.verdict)
        for o in one.pairings
    }
    assert pairs == {
        "any": ("simclr", "cross_entropy", "better"),
        "supervised": ("cross_entropy", "cross_entropy", "better"),
        "self_supervised": ("simclr", "clip", "worse"),
    }


def test_each_modality_has_its_sentence_and_names_all_others():
    several = "image+text+audio"
    (one,) = found(
        scores("simclr", 0.5),
        scores("clip", 0.7, trained=several),
        scores("byol", 0.7, modality="audio"),
        scores("clip", 0.5, modality="audio", trained=several),
        scores("clip", 0.5, modality="text", trained=several),  # no text encoder alone
    )
    assert [sentence.partition(" encoder")[0] for sentence in one.sentences] == [
        "Learning with text and audio helps the image",
        "Learning with images and text does not help the audio",
    ]


def test_one_kind_alone_answers_nothing():
    assert found(scores("simclr", 0.5), scores("mae", 0.5)) == ()
    assert found(scores("clip", 0.5, trained="image+text")) == ()
    assert found(scores("clip", 0.5, modality="image+text", trained="image+text")) == ()
