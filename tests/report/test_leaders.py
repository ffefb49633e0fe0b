"""The sentences say what the verdicts say, and nothing more."""

import pytest

from trivium.report.cells import group, resamplings_of
from trivium.report.leaders import answers, headline
from trivium.report.pairwise import compare
from trivium.report.records import read_entries

from .fabricated import fabricate


def answered(entries):
    measured = read_entries(entries)
    resamplings = resamplings_of(measured)
    scores = group(measured, resamplings)
    return answers(scores, compare(scores, resamplings))


@pytest.fixture(scope="module")
def found(grid):
    return answered(grid)


def test_the_clear_winner_and_the_tie(found):
    few, _, everything = found
    assert (few.fraction, few.outcome) == (0.01, "wins")
    assert few.leader.cell.objective == "simclr"
    assert "Self-supervised SimCLR reaches" in few.sentence
    assert "ahead of supervised cross-entropy" in few.sentence
    assert everything.outcome == "not distinguishable"
    assert {one.cell.paradigm for one in (everything.leader, *everything.tied)} == {
        "supervised", "self_supervised",
    }  # fmt: skip
    assert "is not distinguishable from" in everything.sentence


def test_the_headline_joins_what_is_equal(found):
    text = headline(found, "fashion_mnist")
    assert text.startswith("On fashion mnist: self-supervised learning wins with 1 %")
    assert "cannot be told apart with 100 % of the labels" in text


def test_a_paradigm_is_tied_by_any_of_its_objectives(grid, found, tmp_path):
    """Supervised learning is beaten until it has one objective that is not."""
    assert found[0].tied == ()
    level = {0.01: 0.95, 0.1: 0.9, 1.0: 1.5}
    near = [fabricate(tmp_path, "supcon", "supervised", level, seed=seed) for seed in range(3)]
    few = answered([*grid, *near])[0]
    assert few.outcome == "not distinguishable"
    assert {one.cell.objective for one in (few.leader, *few.tied)} == {"simclr", "supcon"}


def test_what_does_not_beat_a_control_is_said_so(tmp_path):
    level = {0.01: 0.5, 0.1: 0.5, 1.0: 0.5}
    entries = [
        fabricate(tmp_path, name, paradigm, level, seed=seed)
        for name, paradigm in (("untrained", "control"), ("vae", "unsupervised"))
        for seed in range(3)
    ]
    found = answered(entries)
    assert {one.outcome for one in found} == {"no better than a control"}
    assert "not distinguishably better than the untrained encoder" in found[0].sentence
    assert headline(found, "shapes") == "On shapes, no way of learning beats the controls."


def test_one_paradigm_alone_wins_nothing(tmp_path):
    level = {0.01: 0.5, 0.1: 0.5, 1.0: 0.5}
    found = answered([fabricate(tmp_path, "vae", "unsupervised", level)])
    assert {one.outcome for one in found} == {"measured alone"}
    assert "no other way of learning was measured" in found[0].sentence
    assert headline(found, "shapes").startswith(
        "On shapes: unsupervised learning alone was measured with 1 %"
    )


@pytest.mark.parametrize("names", [["raw"], ["raw", "untrained"]])
def test_controls_alone_give_no_answer(tmp_path, names):
    level = {0.01: 0.5, 0.1: 0.5, 1.0: 0.5}
    found = answered([fabricate(tmp_path, name, "control", level) for name in names])
    assert found == ()
    assert "nothing that was pretrained" in headline(found, "shapes")
