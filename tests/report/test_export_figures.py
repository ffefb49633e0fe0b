"""Figures on paper: drawn from the data, the same bytes each time."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from trivium.report.export import for_paper
from trivium.report.export_figures import DPI, WIDTH, drawers, print_figures, printed
from trivium.report.sections import assemble

from .fabricated_pairs import fabricate_pairs


@pytest.fixture(scope="module")
def report(grid):
    return assemble(grid, commit="abc")


@pytest.fixture(scope="module")
def drawn(report):
    """What the page draws."""
    return report.sections[0].drawn


@pytest.fixture(scope="module")
def files(report):
    """What is printed, by what it shows."""
    wanted = ("monitor", "costs", "labels", "confusion-supervised")
    every = drawers(report)
    return {name: printed(every[f"shapes-label-image-{name}"]) for name in wanted}


def paths(svg: bytes, colour: str):
    """Vertices of all lines of one colour."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*style="[^"]*stroke: {colour}', svg.decode())
    return [np.array(re.findall(r"[ML] (\S+) (\S+)", one), dtype=float) for one in found]


def test_lines_go_through_the_points(drawn, files):
    figure, svg = drawn["monitor"], files["monitor"]["svg"]
    known, seen = [], []
    for colour in {trace["line"]["color"] for trace in figure["data"]}:
        lines = [line for line in paths(svg, colour) if len(line) > 10]
        mine = [trace for trace in figure["data"] if trace["line"]["color"] == colour]
        assert len(lines) == len(mine) == 3
        for line, trace in zip(lines, mine, strict=True):
            # Vertices in a straight line may be left out: compare the ends.
            seen += [line[0], line[-1]]
            known += [(trace["x"][at], trace["y"][at]) for at in (0, -1)]
    known, seen = np.array(known), np.array(seen)
    known /= known.max(axis=0)
    for axis in (0, 1):
        fit = np.polyfit(known[:, axis], seen[:, axis], 1)
        np.testing.assert_allclose(np.polyval(fit, known[:, axis]), seen[:, axis], atol=0.01)


def test_bars_are_as_long_as_the_numbers(drawn, files):
    svg = files["costs"]["svg"].decode()
    seconds = drawn["costs"]["data"][1]
    lengths = []
    for colour in seconds["marker"]["color"]:
        boxes = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: {colour}', svg)
        corners = np.array(re.findall(r"[ML] (\S+) (\S+)", boxes[1]), dtype=float)
        lengths.append(np.ptp(corners[:, 0]))
    assert lengths / lengths[0] == pytest.approx(np.array(seconds["x"]) / seconds["x"][0], rel=1e-3)


def test_both_files_are_whole_and_repeat(report, drawn, files):
    first = files["labels"]
    assert first == printed(drawers(report)["shapes-label-image-labels"])
    assert ElementTree.fromstring(first["svg"]).tag.endswith("svg")
    assert Image.open(io.BytesIO(first["png"])).size[0] == pytest.approx(WIDTH * DPI, abs=1)
    for trace in drawn["labels"]["data"]:
        assert trace["line"]["color"].encode() in first["svg"]


def test_a_map_has_a_square_for_each_share(drawn, files):
    (trace,) = drawn["confusion-supervised"]["data"]
    svg = files["confusion-supervised"]["svg"].decode()
    assert svg.count("stroke: #ffffff") == np.size(trace["z"])


def test_a_logarithmic_axis_stays_one(drawn, files):
    colour = drawn["labels"]["data"][-1]["line"]["color"]
    (line,) = [line for line in paths(files["labels"]["svg"], colour) if len(line) == 3]
    # 1 %, 10 % and 100 % are equally far apart.
    assert line[1, 0] - line[0, 0] == pytest.approx(line[2, 0] - line[1, 0], abs=0.01)


def test_every_figure_of_a_report_is_printed_under_its_name(report, tmp_path):
    for name, one in (
        ("one", report),
        ("pairs", assemble(fabricate_pairs(tmp_path / "runs"), commit="abc")),
    ):
        print_figures(one, tmp_path / name)
        stems = {path.removeprefix("figures/") for path in for_paper(one) if "figures/" in path}
        found = {path.name for path in (tmp_path / name).iterdir()}
        endings = ("svg", "png")
        assert found == {f"{stem[:-5]}.{ending}" for stem in stems for ending in endings}
