"""Tables and figures of pages come from the data alone, and an edited one is found."""

import re
import subprocess
import sys

import pytest

from commands import ROOT
from trivium.results.files import read_results
from trivium.results.pages import changed, filled, value
from trivium.results.tables import RENDERERS, answer, everything, findings

PAGE = """# Page

<!-- results:0.1/answer:begin -->
<!-- results:0.1/answer:end -->

SimCLR reaches
<!-- value:0.1 dataset=dots objective=simclr fraction=0.01 -->?<!-- end --> with few labels.
"""


def mark(name):
    return f"<!-- results:{name}:begin -->\n<!-- results:{name}:end -->"


def test_a_page_is_filled_once_and_for_all(written):
    text = filled(PAGE, written)
    assert filled(text, written) == text
    assert answer(written / "0.1") in text
    cells = read_results(written / "0.1").cells.query(
        "dataset == 'dots' and objective == 'simclr' and fraction == 0.01 and probe == 'linear' "
        "and metric == 'accuracy' and split == 'test'"
    )
    assert f"fraction=0.01 -->{100 * cells['mean'].item():.1f} %<!-- end -->" in text


def test_an_edited_figure_or_table_is_found(written, tmp_path):
    text, path = filled(PAGE, written), tmp_path / "page.md"
    assert changed({path: text}, written) == {}
    edited = re.sub(r"\d\d\.\d %<!-- end", "99.9 %<!-- end", text)
    assert edited != text
    assert changed({path: edited}, written) == {path: text}
    row = next(line for line in text.splitlines() if "| supervised |" in line)
    assert changed({path: text.replace(row + "\n", "")}, written) == {path: text}


def test_the_answer_shows_every_cell_with_its_interval(written):
    table = answer(written / "0.1")
    cells = read_results(written / "0.1").cells
    cells = cells[(cells["probe"] == "linear") & (cells["metric"] == "accuracy")]
    cells = cells[cells["split"] == "test"]
    assert len(cells) == 2 * 5 * 3
    for cell in cells.to_dict("records"):
        mean, low, high = (f"{100 * cell[name]:.1f}" for name in ("mean", "low", "high"))
        shown = f"**{mean}**" if cell["leads"] else mean
        assert f"| {shown} [{low}, {high}] |" in table
    assert table.count("**dots** (label)") == table.count("**shapes** (label)") == 1


def test_findings_name_the_leader_and_its_ties(written):
    first = findings(written / "0.1").splitlines()[0]
    assert first.startswith("- **dots**: with 1 % of the labels self-supervised SimCLR (")
    assert "ahead of all that it was compared with" in first
    assert "not distinguishable from self-supervised SimCLR" in first


def test_everything_has_a_table_of_each_probe(written):
    text = everything(written / "0.1")
    assert text.count("### ") == 2
    assert text.count("linear, test accuracy in %:") == text.count("kNN, test accuracy in %:") == 2


def test_retrieval_is_shown_with_chance(tmp_path):
    from report.fabricated_pairs import fabricate_pairs
    from trivium.results.files import write_results

    from .published import compare, publish

    write_results(publish(compare(tmp_path, fabricate_pairs(tmp_path))), tmp_path / "0.1")
    text = everything(tmp_path / "0.1")
    assert "recall@5" in text
    assert "candidates; chance finds" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!-- results:0.1/answer:begin -->", "has no counterpart"),
        (mark("0.1/nothing"), "is no table; known"),
        (mark("tunning/studies"), "no results called 'tunning'"),
        ("<!-- value:0.1 objective=simclr -->1<!-- end -->", "matches 6 cells"),
        ("<!-- value:0.1 objektive=simclr -->1<!-- end -->", "asks by objektive"),
        ("<!-- value:0.1 objective=dino -->1<!-- end -->", "matches 0 cells"),
        ("<!-- value:0.1 dataset=dots -->1", "has no counterpart"),
        (mark("0.1/answer").replace("answer:end", "full:end"), "begins, but"),
    ],
)
def test_a_wrong_mark_is_one_sentence(written, text, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        filled(text, written)


def test_a_version_to_come_says_so(tmp_path):
    assert "Version 3.0 has not been measured yet." in filled(mark("3.0/answer"), tmp_path)
    assert value("3.0 dataset=dots", tmp_path) == "not measured yet"


def test_a_value_without_a_fraction_shows_them_all(written):
    shown = value("0.1 dataset=dots objective=raw", written)
    assert re.fullmatch(r"\d+\.\d / \d+\.\d / \d+\.\d %", shown)
    one = value("0.1 dataset=dots objective=raw fraction=1 show=interval", written)
    assert re.fullmatch(r"\d+\.\d \[\d+\.\d, \d+\.\d\] %", one)


def test_readme_and_docs_say_what_the_results_say():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "results.py"), "--check"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_table_is_a_result_of_some_page_or_version():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text() for path in pages)
    used = set(re.findall(r"<!-- results:[^/]+/(\w+)", text))
    assert used >= set(RENDERERS) - {"recall"}
