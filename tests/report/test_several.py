"""A dataset of several modalities from probe folders to the four files."""

import json
import re

import numpy as np
import pytest

from trivium.report.records import read_entries
from trivium.report.report import write_report
from trivium.report.sections import assemble
from trivium.report.summary import columns

from .fabricated_pairs import DATASET, LANGUAGES, SEVERAL, fabricate_pairs


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    return fabricate_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def report(entries):
    return assemble(entries, commit="abc")


@pytest.fixture(scope="module")
def sections(report):
    return {(one.task, one.modality): one for one in report.sections}


@pytest.fixture(scope="module")
def folder(entries, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(entries, folder, commit="abc")
    return folder


def test_sections_are_by_modality_with_retrieval_last(sections):
    assert list(sections) == [
        ("group", "image"), ("group", "text"), ("group", SEVERAL),
        ("image to text", "image"), ("image to text", SEVERAL),
        ("text to image", "image"), ("text to image", SEVERAL),
    ]  # fmt: skip


def test_one_table_holds_encoders_alone_and_towers(sections):
    table = sections["group", "image"].tables[0]
    assert {(row.objective, row.encoder) for row in table.rows} == {
        ("simclr", "vit_nano"), ("untrained", "vit_nano"), ("clip", "towers_nano"),
        ("cross_entropy", "towers_nano"), ("untrained", "towers_nano"), ("raw", "raw"),
    }  # fmt: skip
    assert "CLIP · towers_nano" in {row.label for row in table.rows}
    assert {column for column in table.columns if "zero" in column[0]} == {("zero-shot", 1.0)}


def test_only_cells_of_one_modality_are_compared(report):
    for one in report.comparisons:
        assert one.first.place == one.second.place
    objectives = {
        side.objective
        for one in report.comparisons
        if (one.first.task, one.first.modality) == ("group", "text")
        for side in (one.first, one.second)
    }
    assert objectives == {"bert", "clip", "cross_entropy", "untrained", "raw"}
    assert {o.first.metric for o in report.comparisons if " to " in o.first.task} == {"recall@5"}


def test_a_run_is_listed_where_its_encoder_belongs_and_shown_once(sections, report):
    assert len(report.runs) == 6 * 3 + 4  # raw of each modality, ridge, duration
    shown = [run for one in sections.values() if one.is_home for run in one.runs]
    assert len(shown) == len(report.runs)
    assert {run.facts.objective for run in sections["group", "text"].runs} == {"bert", "raw"}
    together = sections["group", SEVERAL]
    assert {cost["objective"] for cost in together.costs} >= {"clip", "cross_entropy"}
    for way in ("image to text", "text to image"):
        assert not sections[way, SEVERAL].is_home
        assert sections[way, SEVERAL].costs == sections[way, SEVERAL].strips == ()


def test_pictures_of_each_modality_are_shown(sections, folder):
    together = sections["group", SEVERAL]
    assert {strip.name for strip in together.strips} == {"rows_image"}
    assert {one.rows for one in together.texts} == {("text", "text from image")}
    page = (folder / f"{DATASET}.html").read_text()
    for part in ("image rows, seed 0", "text rows, seed 0", "text from image"):
        assert part in page


def test_what_is_withheld_has_its_own_table(sections):
    tables = [one for one in sections["group", SEVERAL].tables if one.metric == "accuracy"]
    assert [one.withheld for one in tables] == [False, True]
    assert {probe for probe, _ in tables[0].columns} == {"linear"}
    assert {probe for probe, _ in tables[1].columns} == {
        "linear without image", "linear without text",
    }  # fmt: skip


def test_the_answer_about_each_sense(report, sections):
    found, *linear = report.sections[0].together
    assert [one.task for one in linear] == ["image to text", "text to image"]
    assert all(not one.together for one in report.sections[1:])
    best = {(o.modality, o.fraction): o for o in found.pairings if o.paradigm == "any"}
    verdicts = {key: one.comparison.verdict for key, one in best.items()}
    assert verdicts["image", 0.01] == "better"
    assert verdicts["image", 1.0] == "not distinguishable"
    assert verdicts["text", 0.01] == verdicts["text", 1.0] == "worse"
    few = best["image", 0.01]
    assert (few.alone.cell.objective, few.tower.cell.objective) == ("simclr", "clip")
    means = {
        row.objective: row.entries[0].mean
        for row in sections["group", "image"].tables[0].rows
        if row.paradigm != "control"
    }
    assert few.comparison.difference == pytest.approx(means["clip"] - means["simclr"], abs=1e-6)


def test_a_linear_map_reads_encoders_alone_and_towers(report, sections):
    section = sections["image to text", "image"]
    rows = {(row.objective, row.encoder) for row in section.retrieval.rows}
    assert rows == {
        ("simclr", "vit_nano"), ("clip", "towers_nano"), ("cross_entropy", "towers_nano"),
        ("untrained", "vit_nano"), ("untrained", "towers_nano"), ("raw", "raw"),
    }  # fmt: skip
    assert section.title == "image to text, linear"
    assert "Ridge regression between the frozen image features" in section.retrieval.note
    assert "Ridge" not in sections["image to text", SEVERAL].retrieval.note
    assert "(image to text, linear): self-supervised learning wins" in section.headline
    (sentence,) = report.sections[0].together[1].sentences
    assert "helps the image encoder in recall@5: +" in sentence
    assert "labels" not in sentence


def test_retrieval_says_candidates_chance_and_rank(sections):
    found = sections["image to text", SEVERAL].retrieval
    assert found.columns == ("recall@1", "recall@5", "recall@10", "median_rank", "modality_gap")
    assert "60 candidates of its own stratum" in found.note
    assert "8.3 % (recall@5)" in found.note
    assert sections["image to text", SEVERAL].tables == ()
    assert "labels" not in sections["image to text", SEVERAL].drawn
    assert sections["group", "image"].retrieval is None


def test_each_language_is_set_against_duration(sections, entries):
    found = sections["image to text", SEVERAL].retrieval.strata
    assert found.names == tuple(LANGUAGES)
    assert [one.verdict for one in found.verdicts] == ["better", "not distinguishable"]
    measured = [
        one for one in read_entries([e for e in entries if e.probe_folder.name == "image to text"])
        if one.facts.objective == "clip"
    ]  # fmt: skip
    row = next(row for row in found.rows if row.objective == "clip")
    for number, entry in enumerate(row.entries):
        ranks = [next(iter(o.predictions.values()))[o.strata == number] for o in measured]
        assert entry.mean == pytest.approx(np.mean(np.array(ranks) < 5), abs=1e-6)
        low, high = entry.bounds
        assert 0 <= low < entry.mean < high <= 1
    assert "German: CLIP" in found.sentences[0]
    assert "is above duration alone" in found.sentences[0]


def test_all_files_name_the_sections(folder):
    results, markdown = ((folder / name).read_text() for name in ("results.md", "report.md"))
    assert f"**{DATASET}** (group, image), linear probe, test accuracy in %:" in results
    assert f"**{DATASET}** (image to text), retrieval, test recall in %:" in results
    assert f"**{DATASET}** (image to text, linear), retrieval, test recall in %:" in results
    assert "## tiny_pairs: group (image+text)" in markdown
    for text in (results, markdown):
        assert "Learning with text helps the image encoder with 1 % of the labels" in text
        assert "Learning with images does not help the text encoder" in text
        assert "| control | duration alone | 1 |" in text
        assert "| - | chance | - | 8.3 | 8.3 |" in text
    assert "without text" not in results
    assert "linear without text 1 %" in markdown
    assert "zero-shot no labels" in markdown


def test_the_page_can_read_its_figures(folder, sections):
    page = (folder / f"{DATASET}.html").read_text()
    found = re.search(r'(?s)<script type="application/json" id="figures">(.*?)</script>', page)
    named = [name.partition("-")[0] for name in json.loads(found[1])]
    assert set(named) == {"1", "2", "3"}  # retrieval, which stands last, has none
    assert set(re.findall(r'data-figure="(\d)', page)) == {"1", "2", "3"}


def test_rank_is_that_of_the_encoders_own_section(folder):
    text, _, _ = (folder / "results.md").read_text().partition("retrieval, test recall")
    parts = re.split(r"\*\*tiny_pairs\*\* \((.*?)\), linear probe", text)
    rows = {
        (title, line.split("|")[2].strip()): line.split("|")[-3].strip()
        for title, part in zip(parts[1::2], parts[2::2], strict=True)
        for line in part.splitlines()
        if "|" in line
    }
    assert rows["group, image", "SimCLR · vit_nano"] == "6.0"
    assert rows["group, image", "CLIP · towers_nano"] == "-"
    assert rows["group, image+text", "CLIP"] == "6.0"


def test_each_is_set_against_its_own_encoder_untrained(sections):
    section = sections["group", "image"]
    rows = section.tables[0].rows
    _, beaten = columns(section, "linear", rows).values()
    found = {row.way[1:]: text for row, text in zip(rows, beaten, strict=True)}
    assert found["simclr", "vit_nano"] == "100 %"
    assert found["clip", "towers_nano"] == "1, 100 %"
    assert found["untrained", "towers_nano"] == "-"


def test_comparison_json_lists_every_modality(folder):
    document = json.loads((folder / "comparison.json").read_text())
    assert {cell["modality"] for cell in document["cells"]} == {"image", "text", SEVERAL}
    metrics = {one["metric"] for one in document["comparisons"]}
    assert metrics == {"accuracy", "recall@5", "recall@5/German", "recall@5/Welsh"}


def test_ranks_that_contradict_their_record_are_refused(tmp_path):
    entries = fabricate_pairs(tmp_path, num_seeds=1)
    entry = next(one for one in entries if one.probe_folder.name == "image to text")
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    wrong = next(one for one in document["records"] if one["metric"] == "recall@5/Welsh")
    wrong["value"] += 0.01
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"reports recall@5/Welsh .* its predictions give"):
        assemble(entries, commit="abc")


def test_other_strata_are_other_items(tmp_path):
    entries = fabricate_pairs(tmp_path, num_seeds=1)
    entry = next(one for one in entries if one.probe_folder.name == "image to text")
    path = entry.probe_folder / "predictions.npz"
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"strata": arrays["strata"][::-1]}))
    with pytest.raises(ValueError, match=r"different items of tiny_pairs \(image to text"):
        read_entries(entries)
