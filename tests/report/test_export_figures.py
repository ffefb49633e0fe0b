"""Figures on paper: what the JSON holds, without a browser, the same bytes each time."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from trivium.report.export import for_paper
from trivium.report.export_figures import DPI, WIDTH, print_figures, printed
from trivium.report.sections import assemble

from .fabricated_pairs import fabricate_pairs


@pytest.fixture(scope="module")
def drawn(grid):
    return assemble(grid, commit="abc").sections[0].drawn


def paths(svg: bytes, colour: str):
    """Vertices of all lines of one colour."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*style="[^"]*stroke: {colour}', svg.decode())
    return [np.array(re.findall(r"[ML] (\S+) (\S+)", one), dtype=float) for one in found]


def test_lines_go_through_the_points(drawn):
    figure = drawn["monitor"]
    svg = printed(figure)["svg"]
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


def test_bars_are_as_long_as_the_numbers(drawn):
    figure = drawn["costs"]
    svg = printed(figure)["svg"].decode()
    seconds = figure["data"][1]
    lengths = []
    for colour in seconds["marker"]["color"]:
        boxes = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: {colour}', svg)
        corners = np.array(re.findall(r"[ML] (\S+) (\S+)", boxes[1]), dtype=float)
        lengths.append(np.ptp(corners[:, 0]))
    assert lengths / lengths[0] == pytest.approx(np.array(seconds["x"]) / seconds["x"][0], rel=1e-3)


def test_both_files_are_whole_and_repeat(drawn):
    first, second = printed(drawn["labels"]), printed(drawn["labels"])
    assert first == second
    root = ElementTree.fromstring(first["svg"])
    assert root.tag.endswith("svg")
    width = Image.open(io.BytesIO(first["png"])).size[0]
    assert 0.7 * WIDTH * DPI < width < 1.4 * WIDTH * DPI
    for trace in drawn["labels"]["data"]:
        assert trace["line"]["color"].encode() in first["svg"]


def test_a_map_has_a_square_for_each_share(drawn):
    figure = drawn["confusion-supervised"]
    (trace,) = figure["data"]
    svg = printed(figure)["svg"].decode()
    assert svg.count("stroke: #ffffff") == np.size(trace["z"])


def test_every_figure_of_a_report_can_be_printed(drawn, tmp_path):
    pairs = for_paper(assemble(fabricate_pairs(tmp_path / "pairs"), commit="abc"))
    figures = {name: json.loads(text) for name, text in pairs.items() if name.endswith(".json")}
    figures |= {name: figure for name, figure in drawn.items() if not name.startswith("map-")}
    kinds = [{trace.get("type", "scatter") for trace in one["data"]} for one in figures.values()]
    for kind in {"scatter", "bar", "heatmap"}:
        assert any(kind in found for found in kinds)
    known = {"scatter", "bar", "heatmap"}
    assert all(found <= known for found in kinds)


def test_files_stand_beside_the_json(drawn, tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(drawn["map-simclr-vit_nano"]))
    (tmp_path / "other.json").write_text(json.dumps({"data": [{"type": "pie"}], "layout": {}}))
    print_figures(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"map.json", "map.svg", "map.png", "other.json"}


def test_a_logarithmic_axis_stays_one(drawn):
    figure = drawn["labels"]
    svg = printed(figure)["svg"]
    (line,) = [line for line in paths(svg, figure["data"][-1]["line"]["color"]) if len(line) == 3]
    # 1 %, 10 % and 100 % are equally far apart.
    assert line[1, 0] - line[0, 0] == pytest.approx(line[2, 0] - line[1, 0], abs=0.01)
