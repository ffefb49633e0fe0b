"""Studies that tuning leaves become data that bear their commit."""

import json
import shutil

from commands import ROOT
from trivium.results.studies import studies, take, title

TABLE = "| trial | adamw.lr | emoji | mean |\n| - | - | - | - |\n| 1 | 0.004 | 0.5 | 0.5 |\n"


def test_a_new_study_replaces_its_table_alone(tmp_path):
    results = tmp_path / "tuning"
    shutil.copytree(ROOT / "docs" / "results" / "tuning", results)
    before = studies(results)
    left = tmp_path / "sweeps"
    left.mkdir()
    (left / "simclr.md").write_text(TABLE)
    (left / "notes.md").write_text("no study of an objective")
    paradigms = {"simclr": "self_supervised"}
    assert take(left, results, paradigms, commit="c" * 40) == ["self_supervised-simclr"]
    after = studies(results)
    assert "## self_supervised/simclr\n\n| trial | adamw.lr | emoji | mean |\n" in after
    assert "| 1 | 0.004 | 0.5 | 0.5 |" in after
    assert after.count("## ") == before.count("## ")
    parts = json.loads((results / "environment.json").read_text())["parts"]
    owners = [p for p, facts in parts.items() if "self_supervised-simclr" in facts["studies"]]
    assert owners == ["c" * 40]
    assert take(left, results, paradigms, commit="d" * 40) == []


def test_titles_name_the_kind_of_data():
    assert title("self_supervised-simclr") == "self_supervised/simclr"
    assert title("self_supervised-m3ae-image+text") == "self_supervised/m3ae on image+text"
