"""What a paper takes in: the numbers of the report, in CSV and in LaTeX that is well formed."""

import io
import json
import re

import pandas as pd
import plotly.io
import pytest

from trivium.report.export import FIELDS, as_csv, as_latex, escaped, for_paper, grids
from trivium.report.report import write_report
from trivium.report.sections import assemble
from trivium.report.summary import as_markdown

from .fabricated import fabricate
from .fabricated_pairs import fabricate_pairs

KEY = list(FIELDS[:9])


@pytest.fixture(scope="module")
def report(grid):
    return assemble(grid, commit="abc")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return assemble(fabricate_pairs(tmp_path_factory.mktemp("pairs")), commit="abc")


@pytest.fixture(params=["report", "pairs"])
def either(request):
    return request.getfixturevalue(request.param)


def tabular(text):
    """The cells of each row, the heads first, without the comments above."""
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    return [line.removesuffix(r" \\").split(" & ") for line in lines]


def markdown_tables(text):
    """The cells of each row of every table that has a column of seeds."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    found = [[line[2:-2].split(" | ") for line in block.splitlines()] for block in blocks]
    return [[rows[0], *rows[2:]] for rows in found if "seeds" in rows[0]]


def test_one_pair_of_files_for_each_table_of_the_report(either):
    files = for_paper(either)
    stems = {name.rpartition(".")[0] for name in files if name.startswith("tables/")}
    assert len(stems) == len(markdown_tables(as_markdown(either)))
    assert {f"{stem}.{end}" for stem in stems for end in ("csv", "tex")} <= set(files)
    for name in files:
        assert re.fullmatch(r"(tables|figures)/[a-z0-9_-]+\.(csv|tex|json)", name)


def test_names_say_what_is_inside(report, pairs):
    names = for_paper(report).keys() | for_paper(pairs).keys()
    assert names >= {
        "tables/shapes-label-image-macro_f1.csv",
        "tables/tiny_pairs-group-image_text-accuracy-withheld.tex",
        "tables/tiny_pairs-image_to_text-image_text-retrieval-strata.csv",
        "figures/shapes-label-image-map-simclr-vit_nano.json",
    }


def test_every_number_of_the_csv_is_that_of_the_report(either):
    scores = {tuple(one.row()[name] for name in KEY): one for one in either.scores}
    read = set()
    for name, text in for_paper(either).items():
        if not name.endswith(".csv"):
            continue
        table = pd.read_csv(io.StringIO(text))
        assert tuple(table.columns) == (*FIELDS, "best_or_tied")
        for line in table.to_dict("records"):
            key = tuple(line[field] for field in KEY)
            one = scores[key]
            assert key not in read
            read.add(key)
            assert line["mean"] == pytest.approx(one.interval.mean, rel=1e-14)
            assert line["num_seeds"] == len(one.seeds)
            if line["metric"] in ("median_rank", "modality_gap"):
                assert pd.isna([line["low"], line["high"]]).all()
            else:
                bounds = one.interval.low, one.interval.high
                assert (line["low"], line["high"]) == pytest.approx(bounds, rel=1e-14, nan_ok=True)
    left_out = {key for key in scores if key not in read}
    for key in left_out:
        cell = scores[key].cell
        is_withheld = " without " in cell.probe and cell.metric != "accuracy"
        assert is_withheld or cell.metric.startswith(("chance", "num_candidates"))


def test_the_latex_has_the_rows_and_the_bold_of_the_report(either):
    shown = markdown_tables(as_markdown(either))
    found = [one for section in either.sections for one in grids(section)]
    num_bold = 0
    for rows, one in zip(shown, found, strict=True):
        expected = [
            [re.sub(r"\*\*(.*?)\*\*", r"\\textbf{\1}", escaped(cell)) for cell in row]
            for row in rows
        ]
        assert tabular(as_latex(one)) == expected
        num_bold += sum(r"\textbf" in cell for row in expected for cell in row)
    assert num_bold >= 8


def test_the_csv_tells_what_is_bold_and_nothing_of_what_is_not_compared(either):
    for section in either.sections:
        for one in grids(section):
            table = pd.read_csv(io.StringIO(as_csv(one.table)))
            told = table["best_or_tied"]
            rows = tabular(as_latex(one))[1 : len(one.table.rows) + 1]
            cells = [cell for row in rows for cell in row[3:] if cell != "-"]
            for is_told, cell in zip(told, cells, strict=True):
                assert (str(is_told) == "True") == (r"\textbf" in cell)
            is_compared = table["metric"].isin(["accuracy", "recall@5"])
            assert (told.notna() == is_compared).all()


def test_the_latex_is_well_formed(either):
    for name, text in for_paper(either).items():
        if not name.endswith(".tex"):
            continue
        comments = [line for line in text.splitlines() if line.startswith("%")]
        assert len(comments) == 3
        body = text.replace("\n".join(comments), "")
        rows = tabular(body)
        (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", body)
        assert {len(row) for row in rows} == {len(columns)}
        assert body.count("{") == body.count("}")
        assert body.rstrip().endswith(r"\end{tabular}")
        rules = re.findall(r"\\(toprule|midrule|bottomrule)", body)
        assert (rules[:2], rules[-1]) == (["toprule", "midrule"], "bottomrule")
        assert not re.search(r"(?<!\\)[%_#$]|[~^]", body)


def test_chance_stands_below_the_strata(pairs):
    text = for_paper(pairs)["tables/tiny_pairs-image_to_text-image_text-retrieval-strata.tex"]
    assert "\\midrule\n- & chance & - & 8.3 & 8.3 \\\\\n\\bottomrule" in text


@pytest.mark.parametrize("sign", ["&", "%", "$", "#", "_", "{", "}"])
def test_signs_are_escaped_as_pandas_does(sign):
    text = f"a{sign}b"
    style = pd.DataFrame([[text]]).style.format(escape="latex")
    assert f"& {escaped(text)} \\\\" in style.to_latex()


def test_signs_without_an_escape_have_a_name():
    assert escaped("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


def test_hostile_names_are_safe_in_files_and_in_latex(tmp_path):
    skill = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}
    dataset = "Übung 50%_{x}\n\\input{y}"
    entry = fabricate(tmp_path, "mae_%&", "self_supervised", skill, dataset=dataset)
    files = for_paper(assemble([entry], commit="abc"))
    assert "tables/_bung_50_x_input_y_-label-image-accuracy.tex" in {
        re.sub("_+", "_", name) for name in files
    }
    text = next(text for name, text in files.items() if name.endswith("-accuracy.tex"))
    assert r"& mae \%\& &" in text
    assert [line for line in text.splitlines() if "input" in line] == text.splitlines()[:1]


def test_names_that_would_be_the_same_are_numbered(report):
    (section,) = report.sections
    twice = report._replace(sections=(section, section._replace(task="LABEL")))
    names = for_paper(twice).keys()
    assert len(names) == 2 * len(for_paper(report))
    for name in ("tables/shapes-label-image-ece-2.tex", "figures/shapes-label-image-costs-2.json"):
        assert name in names


def test_the_figures_are_those_of_the_page(grid, tmp_path):
    write_report(grid, tmp_path, commit="abc")
    page = (tmp_path / "shapes.html").read_text()
    found = re.search(r'(?s)<script type="application/json" id="figures">(.*?)</script>', page)
    embedded = json.loads(found[1])
    paths = {path.stem: path for path in (tmp_path / "figures").iterdir()}
    assert len(paths) == len(embedded) == 11
    for name, figure in embedded.items():
        path = paths["shapes-label-image-" + name.partition("-")[2]]
        assert json.loads(path.read_text()) == figure
        assert len(plotly.io.read_json(path).data) == len(figure["data"])
