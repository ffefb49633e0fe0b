"""Who overtakes whom, said of fabricated grids whose truth is known."""

import json

import pytest

from trivium.report.crossover import FLOPS, LABELS, Crossing, Crossover, Race, with_flops
from trivium.report.records import Facts
from trivium.report.runs import Run
from trivium.report.sections import assemble
from trivium.report.summary import as_markdown, crossovers


@pytest.fixture(scope="module")
def report(grid):
    return assemble(grid, commit="abc")


def test_supervised_learning_catches_up_with_more_labels(report):
    (section,) = report.sections
    found = {frozenset(one.paradigms): one for one in section.overtaking[LABELS]}
    assert len(found) == 3
    ahead = found[frozenset(("self_supervised", "unsupervised"))]
    assert ahead.race.crossings == ()
    assert ahead.race.is_told
    said = "SimCLR is ahead of unsupervised autoencoder all the way: they do not cross."
    assert ahead.sentence == f"Self-supervised {said}"
    caught = found[frozenset(("supervised", "self_supervised"))]
    assert caught.ahead[0] == "self-supervised SimCLR" or not caught.race.crossings


def test_the_last_crossing_on_the_way_counts():
    runs = [watched("supervised", "a", seed, [0.2, 0.5, 0.3, 0.6]) for seed in range(2)]
    runs += [watched("unsupervised", "b", seed, [0.4, 0.4, 0.4, 0.4]) for seed in range(2)]
    (one,) = with_flops(runs)
    (crossing,) = one.race.crossings
    # From 0.3 at 4 to 0.6 at 8 FLOPs: a third of the way; all seeds agree.
    assert crossing.at == pytest.approx(4 + 4 / 3, rel=1e-3)
    assert (one.first, one.second) == ("supervised a", "unsupervised b")
    assert one.sentence.startswith("Supervised a overtakes unsupervised b at 5.33 FLOPs [")


def test_the_best_at_the_end_speaks_and_looks_before_the_first_step_do_not_count():
    runs = [
        watched("supervised", "a", 0, [0.2, 0.3, 0.4, 0.5]),
        watched("supervised", "better", 0, [0.1, 0.2, 0.4, 0.6]),
        watched("unsupervised", "b", 0, [0.4, 0.4, 0.4, 0.4], first=0),
        watched("control", "untrained", 0, [0.9, 0.9, 0.9, 0.9]),
    ]
    (one,) = with_flops(runs)
    assert one.first == "supervised better"
    assert one.race.start == 2


def test_runs_without_a_monitor_have_no_race(grid):
    assert with_flops([watched("supervised", "a", 0, [0.1] * 4)]) == ()
    assert with_flops([]) == ()


def watched(paradigm, objective, seed, accuracy, first=1):
    facts = ("d", "t", "image", paradigm, objective, "e", seed, 8, 8)
    steps = [first, 2, 4, 8]
    curves = {"step": [1, 8], "flops": [1, 8], "monitor": {"step": steps, "accuracy": accuracy}}
    return Run(Facts(*facts), None, {"flops": 8}, curves, {"seconds": 16.0}, None, ())


@pytest.mark.parametrize(
    ("race", "said"),
    [
        (Race(0.01, 1, True, True, False, ()), "they do not cross, nor can they be told apart."),
        (
            Race(0.01, 1, False, True, True, (Crossing(0.234, 0.05, None),)),
            "A overtakes b at 23 % [5 %, beyond 100 %].",
        ),
        (
            Race(0.01, 1, False, True, False, (Crossing(0.234, None, None),)),
            "23 % [below 1 %, beyond 100 %]; nowhere can the two be told apart.",
        ),
        (
            Race(0.01, 1, True, True, True, (Crossing(0.02, None, 0.1), Crossing(0.5, 0.2, 0.9))),
            "A and b cross at 2 % [below 1 %, 10 %] and 50 % [20 %, 90 %].",
        ),
    ],
)
def test_sentences(race, said):
    one = Crossover(LABELS, "a", "b", ("supervised", "control"), race)
    assert one.sentence.endswith(said)


def test_the_markdown_and_the_page_have_them(report):
    text = as_markdown(report)
    for axis in (LABELS, FLOPS):
        assert "\n\n".join(crossovers(report.sections[0].overtaking[axis])) in text


def test_seconds_are_in_proportion_to_the_price(report, grid):
    traces = report.sections[0].drawn["clock"]["data"]
    seconds = {
        json.loads((entry.run_folder / "cost.json").read_text())["seconds"]
        for entry in grid
        if entry.run_folder
    }
    assert sorted(trace["x"][-1] for trace in traces) == pytest.approx(sorted(seconds))
    flops = report.sections[0].drawn["monitor"]["data"]
    for one, other in zip(traces, flops, strict=True):
        assert one["y"] == other["y"]
        assert one["x"][10] / one["x"][-1] == pytest.approx(other["x"][10] / other["x"][-1])
