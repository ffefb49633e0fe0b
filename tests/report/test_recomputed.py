"""The numbers of fabricated reports, recomputed from the stored predictions alone."""

import json
import shutil

import numpy as np
import pytest

from recomputed import check_cells, check_text, recomputed
from trivium.report.report import write_report

from .fabricated_pairs import fabricate_pairs


@pytest.fixture(scope="module")
def written(grid, tmp_path_factory):
    """Entries and report of one modality, and of several."""
    root = tmp_path_factory.mktemp("recomputed")
    found = {}
    for name, entries in (("grid", grid), ("pairs", fabricate_pairs(root / "pairs"))):
        write_report(entries, root / name, commit="abc")
        found[name] = (entries, root / name)
    return found


@pytest.mark.parametrize("name", ["grid", "pairs"])
def test_every_cell_and_every_printed_number(written, name):
    entries, report = written[name]
    truth = recomputed([entry.probe_folder for entry in entries])
    cells = json.loads((report / "comparison.json").read_text())["cells"]
    assert check_cells(truth, cells) == len({key for key in truth if is_reported(key)})
    seen = check_text(truth, (report / "report.md").read_text())
    assert len(seen) == len(set(seen))
    left = set(truth) - set(seen)
    assert all(" without " in key[6] and key[-1] == "macro_f1" for key in left if is_reported(key))
    assert len(seen) > 50


def is_reported(key):
    """Of strata the report has recall@5 alone."""
    return "/" not in key[-1] or key[-1].startswith("recall@5")


def test_a_changed_prediction_would_be_noticed(written, tmp_path):
    entries, report = written["grid"]
    folders = [entry.probe_folder for entry in entries]
    copy = shutil.copytree(folders[-1], tmp_path / "copy")
    with np.load(copy / "predictions.npz") as archive:
        arrays = dict(archive)
    arrays["knn/0.1/3"][:40] = (arrays["labels"][:40] + 1) % 4
    np.savez(copy / "predictions.npz", **arrays)
    truth = recomputed([*folders[:-1], copy])
    with pytest.raises(AssertionError, match="knn"):
        check_cells(truth, json.loads((report / "comparison.json").read_text())["cells"])
    with pytest.raises(AssertionError, match="knn"):
        check_text(truth, (report / "report.md").read_text())
