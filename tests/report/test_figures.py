"""Figures show the numbers that the tables hold, each paradigm in its colour."""

import json
import re

import pytest

from trivium.colours import DARK, LIGHT, darkened, shades
from trivium.report import curves, figures
from trivium.report.sections import assemble


@pytest.fixture(scope="module")
def section(grid):
    return assemble(grid, commit="abc").sections[0]


def test_label_efficiency_draws_every_row_with_its_interval(section):
    table = section.tables[0]
    traces = {trace["name"]: trace for trace in section.drawn["labels"]["data"]}
    assert set(traces) == {row.label for row in table.rows}
    row = next(row for row in table.rows if row.objective == "simclr")
    trace = traces["SimCLR"]
    index = table.columns.index(("linear", 0.01))
    low, high = row.entries[index].bounds
    assert trace["y"][0] == pytest.approx(100 * row.entries[index].mean)
    assert trace["y"][0] + trace["error_y"]["array"][0] == pytest.approx(100 * high)
    assert trace["y"][0] - trace["error_y"]["arrayminus"][0] == pytest.approx(100 * low)
    assert section.drawn["labels"]["layout"]["xaxis"]["type"] == "log"


def test_controls_are_dashed_and_paradigms_keep_their_colour(section):
    for trace in section.drawn["labels"]["data"]:
        control = trace["name"] in ("raw input", "untrained encoder")
        assert trace["line"]["dash"] == ("dash" if control else "solid")
    colours = {trace["name"]: trace["line"]["color"] for trace in section.drawn["labels"]["data"]}
    assert colours["SimCLR"] in LIGHT["self_supervised"]
    lines = {trace["name"]: trace["line"]["color"] for trace in section.drawn["monitor"]["data"]}
    assert lines["SimCLR"] == colours["SimCLR"]


def test_the_monitor_is_drawn_against_flops(section, grid):
    trace = section.drawn["monitor"]["data"][0]
    assert trace["x"][-1] == pytest.approx(2e12)
    num_trained = sum(entry.run_folder is not None for entry in grid)
    assert len(section.drawn["monitor"]["data"]) == num_trained


def test_costs_have_a_panel_each(section):
    titles = [one["text"] for one in section.drawn["costs"]["layout"]["annotations"]]
    assert titles == ["training FLOPs", "seconds", "peak memory (MB)", "data wait (%)"]
    assert section.drawn["costs"]["data"][3]["x"] == pytest.approx([2.0] * 3)


def test_maps_colour_classes(section):
    traces = section.drawn["map-simclr-vit_nano"]["data"]
    assert [trace["name"] for trace in traces] == [f"class {index}" for index in range(4)]
    assert sum(len(trace["x"]) for trace in traces) == 200


def test_nothing_to_draw_is_no_figure():
    assert curves.monitor([], {}) is None
    assert curves.losses([], {}) is None
    assert figures.costs([], {}) is None


def test_every_paradigms_colour_has_a_dark_counterpart(section):
    used = set(re.findall(r"#[0-9a-f]{6}", json.dumps(section.drawn["labels"])))
    assert used <= set(darkened())
    assert len(set(darkened().values())) == len(darkened())


@pytest.mark.parametrize(("colours", "ground"), [(LIGHT, "#fbfaf7"), (DARK, "#14171a")])
def test_first_shades_can_be_read_on_their_ground(colours, ground):
    """WCAG 2.1 contrast of at least 4.5 for text in a paradigm's colour."""
    for paradigm, (colour, *_) in colours.items():
        lights = sorted((luminance(colour), luminance(ground)))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, paradigm


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_shades_do_not_depend_on_order():
    rows = [("supervised", "b"), ("supervised", "a"), ("control", "raw")]
    assert shades(rows) == shades(rows[::-1])
    assert len({colour for colour, _ in shades(rows).values()}) == 3
