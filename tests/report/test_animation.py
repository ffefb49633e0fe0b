"""Which runs the animation shows; and the animation in a browser, moved by its keys."""

import numpy as np
import pytest

from trivium.report.animation import animation
from trivium.report.bootstrap import Interval
from trivium.report.cells import Cell, Scores
from trivium.report.records import Facts
from trivium.report.report import write_report
from trivium.report.runs import Run

from .browser import CHROMIUM, Browser
from .fabricated import fabricate_grid

SNAPSHOTS = {
    "step": [0, 4], "x": [[0.0, 1.0]] * 2, "y": [[0.0, 1.0]] * 2, "label": [0, 1],
    "classes": ["a", "b"], "confusion": [[[1, 1], [1, 1]]] * 2,
}  # fmt: skip


def run(paradigm, objective, *, dataset="shapes", modality="image", seed=0, snapshots=SNAPSHOTS):
    facts = Facts(dataset, "label", modality, paradigm, objective, "vit", seed, 400, 40)
    return Run(facts, None, None, None, None, snapshots, ())


def score(run, accuracy, *, probe="linear", fraction=1.0, split="validation"):
    cell = Cell(*run.facts[:6], probe, fraction, split, "accuracy")
    interval = Interval(accuracy, *[0.0] * (len(Interval._fields) - 1))
    nothing = np.zeros((1, 1, 1), np.float32)
    return Scores(cell, (0,), (0,), nothing, nothing, 400, 40, interval)


def shown(found):
    return [(panel.run.facts.objective, panel.run.facts.seed) for panel in found.panels]


def test_validation_chooses_by_the_linear_probe_with_most_labels():
    better, worse = run("supervised", "b"), run("supervised", "a")
    scores = [
        score(worse, 0.9, probe="knn"), score(worse, 0.9, fraction=0.1),
        score(worse, 0.9, split="test"), score(worse, 0.5), score(better, 0.6),
    ]  # fmt: skip
    assert shown(animation(scores, [worse, better])) == [("b", 0)]


def test_what_left_nothing_to_show_is_passed_over():
    best, next_best = run("self_supervised", "a", snapshots=None), run("self_supervised", "b")
    scores = [score(best, 0.9), score(next_best, 0.5)]
    assert shown(animation(scores, [best, next_best])) == [("b", 0)]
    assert animation(scores, [best]) is None
    assert animation([], []) is None


def test_the_first_seed_is_shown():
    runs = [run("supervised", "a", seed=seed) for seed in (2, 1)]
    assert shown(animation([], runs)) == [("a", 1)]


def test_pictures_come_before_texts_unless_they_fill_fewer_panels():
    images = run("supervised", "a")
    texts = [
        run(paradigm, "a", dataset="words", modality="text")
        for paradigm in ("supervised", "self_supervised")
    ]
    assert animation([], [texts[0], images]).dataset == "shapes"
    assert animation([], [*texts, images]).dataset == "words"


def test_of_alike_datasets_the_one_where_most_is_right():
    first, second = run("supervised", "a"), run("supervised", "a", dataset="forms")
    scores = [score(first, 0.4), score(second, 0.7)]
    assert animation(scores, [first, second]).dataset == "forms"


def test_a_page_without_runs_has_no_animation(tmp_path):
    write_report(fabricate_grid(tmp_path, with_run=False), tmp_path / "report", commit="abc")
    assert "How do models learn" not in (tmp_path / "report" / "index.html").read_text()


@pytest.fixture
def page(tmp_path):
    entries = fabricate_grid(tmp_path, num_seeds=1)
    luck = np.random.default_rng(0)
    inputs = luck.integers(256, size=(12, 16, 16, 3), dtype=np.uint8)
    for entry in entries:
        if "autoencoder" not in entry.cell:
            continue
        for step in (0, 200, 400):
            rows = {"input": inputs, "reconstruction": (inputs * (step / 400)).astype(np.uint8)}
            np.savez(entry.run_folder / "pictures" / f"rows-step{step:06d}.npz", **rows)
    write_report(entries, tmp_path / "report", commit="abc")
    return tmp_path / "report" / "index.html"


STATE = """[...document.querySelectorAll(".learner")].map((panel) => ({
  cells: [...panel.querySelectorAll(".cell")].map((cell) => cell.style.fillOpacity).join(),
  dots: [...panel.querySelectorAll("circle")].map((dot) => dot.style.transform).join(),
  image: [...panel.querySelectorAll("img")].findIndex((one) => !one.classList.contains("off")),
  said: panel.querySelector("output").textContent,
  spoken: panel.querySelector("input").getAttribute("aria-valuetext"),
  label: panel.querySelector("svg")?.getAttribute("aria-label"),
}))"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_keyboard_moves_every_panel(page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.send(
            "Emulation.setDeviceMetricsOverride",
            width=380, height=800, deviceScaleFactor=1, mobile=True,
        )  # fmt: skip
        browser.open(page)
        last = browser.run(STATE)
        assert [bool(one["cells"]) for one in last] == [True, False, False]
        assert [bool(one["dots"]) for one in last] == [False, False, True]
        assert [one["image"] for one in last] == [-1, 2, -1]
        for one, drawn in zip(range(3), ("cells", "image", "dots"), strict=True):
            browser.run(f"document.querySelectorAll('.learner input')[{one}].focus()")
            browser.press("ArrowLeft")
            before = browser.run(STATE)
            assert before[one][drawn] != last[one][drawn]
            assert before[one]["spoken"].endswith("step 200 of 400, 1 TFLOPs")
            assert before[one]["said"] != last[one]["said"]
            browser.press("Home")
            assert "step 0 of 400" in browser.run(STATE)[one]["said"]
            browser.press("End")
        assert browser.run(STATE) == last
        assert "67\u00a0% right, step 400 of 400" in last[0]["label"]
        assert browser.run("document.documentElement.scrollWidth") == 380
        assert browser.errors == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_play_goes_from_the_first_step_to_the_last(page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
        )
        browser.open(page)
        motion = "getComputedStyle(document.querySelector('.cell')).transitionDuration"
        assert browser.run(motion) == "0s"
        # The page's clock in the test's hands: each tick is one call.
        browser.run("setInterval = (tick) => { window.tick = tick; return 1; }; 0")
        browser.run("document.querySelectorAll('.learner button')[1].click()")
        seen = [browser.run(STATE)[1]["image"]]
        for _ in range(2):
            assert browser.run("document.querySelectorAll('.learner button')[1].textContent") == (
                "Pause"
            )
            browser.run("tick()")
            seen.append(browser.run(STATE)[1]["image"])
        assert seen == [0, 1, 2]
        assert browser.run("document.querySelectorAll('.learner button')[1].textContent") == "Play"
        browser.run("document.querySelector('.all button').click()")
        assert all("step 0 of" in one["said"] for one in browser.run(STATE))
        assert browser.errors == []
