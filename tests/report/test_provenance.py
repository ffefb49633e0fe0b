"""Each row of the page leads to its tracked runs and to the code that they ran."""

import json
import re
from html.parser import HTMLParser

import pytest

from trivium.report.provenance import UI, Provenance
from trivium.report.report import write_report


@pytest.fixture(scope="module")
def folder(grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("origins")
    write_report(grid, folder, commit="abc1234")
    return folder


class Rows(HTMLParser):
    """The heads of all rows of tables of cells, each with its links and codes."""

    def __init__(self):
        super().__init__()
        self.found, self.depth = [], None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "table":
            self.depth = attributes.get("class")
        if tag == "th" and attributes.get("scope") == "row" and self.depth == "cells":
            self.found.append({"text": "", "links": [], "codes": []})
        elif tag == "td" and self.found:
            self.found[-1]["closed"] = True
        elif self.found and "closed" not in self.found[-1]:
            if tag == "a":
                self.found[-1]["links"].append(attributes["href"])
            if tag == "code" and "title" in attributes:
                self.found[-1]["codes"].append(attributes["title"])

    def handle_data(self, data):
        if self.found and "closed" not in self.found[-1]:
            self.found[-1]["text"] += data


def test_every_row_links_to_the_run_of_each_seed(folder):
    text = (folder / "shapes.html").read_text()
    rows = Rows()
    rows.feed(re.sub(r"(?s)<script>.*?</script>", "", text))
    assert len(rows.found) == 15
    named = {
        "raw input": "raw",
        "untrained encoder": "untrained",
        "cross-entropy": "cross_entropy",
        "autoencoder": "autoencoder",
        "SimCLR": "simclr",
    }
    for row in rows.found:
        name = next(n for n in named if row["text"].startswith(n))
        seeds = range(1 if name == "raw input" else 3)
        runs = [f"{UI}/#/experiments/1/runs/run{s}{named[name]}" for s in seeds]
        assert row["links"] == runs
        assert row["codes"] == [str(seed) * 40 for seed in seeds]


def test_every_record_names_its_run_and_commit(folder):
    records = json.loads((folder / "comparison.json").read_text())["records"]
    for one in records:
        assert one["run_id"] == f"run{one['seed']}{one['objective']}"
        assert one["commit"] == str(one["seed"]) * 40


def test_what_was_not_tracked_has_no_link():
    assert Provenance(0, None, None, None).link is None
    assert Provenance(0, "r", None, "c").link is None
