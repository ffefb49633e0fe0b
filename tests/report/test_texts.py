"""Texts and language measures of fabricated runs."""

import json

import pytest

from trivium.report.media import MAX_SAMPLES
from trivium.report.report import write_report
from trivium.report.sections import assemble

from .fabricated import fabricate, fabricate_grid

ROWS = {
    "text": [f"the {number}th text" for number in range(9)],
    "continuation": [f"<b>goes</b> on {number}" for number in range(9)],
}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A language model with two seeds and what others need: texts at two steps, measures."""
    root = tmp_path_factory.mktemp("texts")
    skill = {0.01: 0.5, 0.1: 0.8, 1.0: 1.0}
    entries = [
        fabricate(root, objective, paradigm, skill, seed=seed)
        for objective, paradigm in (
            ("gpt", "self_supervised"),
            ("raw", "control"),
            ("untrained", "control"),
        )
        for seed in range(1 if objective == "raw" else 2)
    ]
    for entry in entries[:2]:
        change(entry.run_folder / "metrics.json", language={
            "bits_per_byte": 2.5 + entry.seed / 10, "perplexity": 60.0 + entry.seed,
            "nats_per_token": 4.1,
        })  # fmt: skip
        change(entry.run_folder / "curves.json", language={
            "step": [0.0, 200.0, 400.0], "bits_per_byte": [5.0, 3.0, 2.5 + entry.seed / 10],
        })  # fmt: skip
        for step in (0, 400):
            path = entry.run_folder / "pictures" / f"rows-step{step:06d}.json"
            path.write_text(json.dumps(ROWS | {"text": [f"{step}: {t}" for t in ROWS["text"]]}))
    return entries


def change(path, **more):
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


@pytest.fixture(scope="module")
def section(grid):
    return assemble(grid, commit="abc").sections[0]


def test_texts_are_the_last_of_its_name_and_of_the_first_seed(section):
    (sheet,) = section.texts
    assert (sheet.name, sheet.step, sheet.run.facts.seed) == ("rows", 400, 0)
    assert sheet.rows == ("text", "continuation")
    assert len(sheet.samples) == MAX_SAMPLES
    assert sheet.samples[1] == ("400: the 1th text", "<b>goes</b> on 1")


def test_a_reading_is_over_the_seeds(section):
    (reading,) = section.readings
    assert (reading.objective, reading.num_seeds) == ("gpt", 2)
    assert reading.measures["bits_per_byte"] == pytest.approx((2.55, 2.5, 2.6))
    assert reading.measures["perplexity"] == (60.5, 60.0, 61.0)


def test_bits_per_byte_are_drawn_against_flops(section):
    traces = section.drawn["language"]["data"]
    assert [list(trace["y"]) for trace in traces] == [[5.0, 3.0, 2.5], [5.0, 3.0, 2.6]]
    assert list(traces[0]["x"]) == [0.0, 1e12, 2e12]


def test_runs_without_texts_show_none(tmp_path):
    section = assemble(fabricate_grid(tmp_path, num_seeds=2), commit="abc").sections[0]
    assert section.texts == section.readings == ()
    assert "language" not in section.drawn


def test_the_page_shows_both_and_escapes_what_was_generated(grid, tmp_path):
    write_report(grid, tmp_path, commit="abc1234")
    page = (tmp_path / "shapes.html").read_text()
    assert "How well it reads" in page
    assert "Texts from training" in page
    assert "&lt;b&gt;goes&lt;/b&gt; on 0" in page
    assert "<b>goes</b>" not in page
