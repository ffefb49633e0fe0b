"""The files: their schema, their agreement with each other, and a page that asks for nothing."""

import json
import re

import pytest
from statsmodels.stats.multitest import multipletests

from trivium.report.report import write_report

from .fabricated import fabricate, fabricate_grid

RECORD = {
    "dataset", "task", "modality", "paradigm", "objective", "encoder", "seed", "probe",
    "fraction", "draw", "split", "metric", "value", "flops", "samples", "run_id",
    "commit",
}  # fmt: skip
MEASURED = {"seed", "run_id", "commit", "draw", "value"}
CELL = (RECORD - MEASURED) | {"mean", "low", "high", "num_seeds"}


@pytest.fixture(scope="module")
def folder(grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "report"
    write_report(grid, folder, commit="abc1234")
    return folder


def comparison(folder):
    return json.loads((folder / "comparison.json").read_text())


def page(folder, name="shapes.html"):
    return (folder / name).read_text()


def test_comparison_json_keeps_its_schema(folder):
    document = comparison(folder)
    assert {"protocol", "commit", "records", "cells"} <= document.keys()
    assert (document["protocol"], document["commit"]) == ("1", "abc1234")
    assert all(record.keys() == RECORD for record in document["records"])
    assert all(cell.keys() >= CELL for cell in document["cells"])
    assert not any({"seed", "run_id", "commit"} & cell.keys() for cell in document["cells"])
    assert {record["fraction"] for record in document["records"]} == {0.01, 0.1, 1.0}
    assert {cell["paradigm"] for cell in document["cells"]} == {
        "supervised", "unsupervised", "self_supervised", "control",
    }  # fmt: skip


def test_every_record_belongs_to_a_cell_with_its_mean(folder):
    document = comparison(folder)
    keys = ("dataset", "task", "objective", "encoder", "probe", "fraction", "split", "metric")
    groups = {}
    for record in document["records"]:
        groups.setdefault(tuple(record[key] for key in keys), []).append(record["value"])
    cells = {tuple(cell[key] for key in keys): cell for cell in document["cells"]}
    assert cells.keys() == groups.keys()
    for key, values in groups.items():
        assert cells[key]["mean"] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_the_same_entries_give_the_same_files(grid, folder, tmp_path):
    write_report(grid, tmp_path, commit="abc1234")
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert {str(name.parent) for name in names} == {".", "tables", "figures"}
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name
    assert not list(folder.rglob("*.partial"))


def test_the_results_table_shows_the_cells(folder):
    text = (folder / "results.md").read_text()
    cell = next(
        cell for cell in comparison(folder)["cells"]
        if (cell["objective"], cell["probe"], cell["fraction"], cell["metric"])
        == ("autoencoder", "linear", 0.1, "accuracy")
    )  # fmt: skip
    shown = [f"{100 * cell[name]:.1f}" for name in ("mean", "low", "high")]
    assert f"{shown[0]} [{shown[1]}, {shown[2]}]" in text
    for name in ("raw input", "untrained encoder", "100 %"):
        assert name in text
    assert "kNN" not in text


def test_the_results_table_names_rank_and_victories_over_the_untrained(folder):
    lines = (folder / "results.md").read_text().splitlines()
    rows = {line.split("|")[2].strip(): line.split("|")[-3:-1] for line in lines if "|" in line}
    titles = {"autoencoder": "autoencoder", "simclr": "SimCLR"}
    won = {name: [] for name in titles}
    for share in (0.01, 0.1, 1.0):
        family = [
            (sides, one["p"], one["difference"])
            for one in comparison(folder)["comparisons"]
            if (one["probe"], one["fraction"]) == ("linear", share)
            and "untrained" in (sides := [one[side]["objective"] for side in ("first", "second")])
        ]
        clear = multipletests([p for _, p, _ in family], 0.05, method="holm")[0]
        for (sides, _, difference), is_clear in zip(family, clear, strict=True):
            winner = sides[0] if difference > 0 else sides[1]
            if is_clear and winner in won:
                won[winner].append(f"{100 * share:g}")
    for name, title in titles.items():
        assert won[name]
        assert rows[title][1].strip() == f"{', '.join(won[name])} %"
        assert float(rows[title][0]) > 1
    assert rows["untrained encoder"][1].strip() == "-"


def test_the_page_has_the_controls_and_the_answer_in_it(folder):
    text = page(folder)
    for part in ("raw input", "untrained encoder", "Protocol <b>1</b>", "abc1234", "run0simclr"):
        assert part in text
    assert text.index("On shapes") < text.index("<table")


def test_pages_load_nothing_from_outside_their_folder(folder):
    written = {path.name: path.read_text() for path in folder.glob("*.html")}
    assert set(written) == {"index.html", "shapes.html"}
    for text in written.values():
        # Links to the tracking store on this machine are followed by hand alone.
        text = re.sub(r'<a href="http://127\.0\.0\.1:5000/#[^"]*">', "", text)
        loaded = re.findall(r"""(?i)\b(?:src|action)\s*=\s*["']?([^"'\s>]*)""", text)
        assert {one for one in loaded if not one.startswith("data:")} == {"plotly.min.js"}
        for target in re.findall(r'href="([^"]*)"', text):
            name, _, anchor = target.partition("#")
            if name != "data:,":
                assert not anchor or f'id="{anchor}"' in (written[name] if name else text)
        assert not re.findall(r"(?i)@import|url\(|fetch\(|XMLHttpRequest|<iframe|<object", text)
        assert "default-src 'none'" in text
        assert len(text) < 10_000_000
    assert 'href="shapes.html#s1"' in written["index.html"]
    assert 'href="index.html#contents"' in written["shapes.html"]


def test_what_is_missing_is_left_out_with_a_note(tmp_path):
    entries = fabricate_grid(tmp_path, with_run=False)
    write_report(entries, tmp_path / "report", commit="abc")
    text = page(tmp_path / "report")
    for note in ("Learning curves: no", "Embedding maps: no", "Pictures: no"):
        assert note in text
    assert "monitor" not in json.loads(figures_of(text))


def test_one_seed_is_said(tmp_path):
    write_report(fabricate_grid(tmp_path, num_seeds=1), tmp_path / "report", commit="abc")
    text = page(tmp_path / "report")
    assert "One seed only" in text
    assert "says nothing about another pretraining" in page(tmp_path / "report", "index.html")
    cells = comparison(tmp_path / "report")["cells"]
    assert {cell["num_seeds"] for cell in cells} == {1}


def test_names_cannot_break_out_of_the_page(tmp_path):
    skill = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}
    entry = fabricate(tmp_path, "simclr", "self_supervised", skill)
    path = entry.run_folder / "looks.json"
    document = json.loads(path.read_text())
    document["classes"][0] = "</script><script>alert(1)</script>"
    path.write_text(json.dumps(document))
    write_report([entry], tmp_path / "report", commit="<b>x")
    text = page(tmp_path / "report")
    assert "<script>alert" not in text
    assert "<b>x" not in text


def test_a_broken_run_file_is_named(tmp_path):
    entry = fabricate(tmp_path, "mae", "self_supervised", {0.01: 0.2, 0.1: 0.9, 1.0: 1.6})
    (entry.run_folder / "curves.json").write_text("[")
    with pytest.raises(ValueError, match=r"curves\.json is not JSON .* pretrain this cell again"):
        write_report([entry], tmp_path / "report", commit="abc")


def figures_of(text):
    found = re.search(r'(?s)<script type="application/json" id="figures">(.*?)</script>', text)
    return found[1]
