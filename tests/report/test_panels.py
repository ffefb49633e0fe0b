"""What the panels say and draw, against scikit-learn and the files they were read from."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from trivium.colours import CLASSES
from trivium.report.animation import (
    GAP,
    OTHERS,
    WIDE_GAP,
    confusion,
    embedding,
    laid_out,
    num_rows_to_change,
    reconstruction,
)
from trivium.report.records import Facts
from trivium.report.runs import Run, Sample

FACTS = Facts("shapes", "label", "image", "supervised", "cross_entropy", "vit_nano", 0, 600, 60)
METRICS = {"flops_per_step": 100}


def run_of(found=None, tiles=(), texts=(), curves=None, facts=FACTS):
    files = {"texts": tuple(texts), "tiles": tuple(tiles)}
    return Run(facts, None, METRICS, curves, None, found, (), **files)


def found_of(num_classes, labels=(), **more):
    labels = list(labels)
    places = [[float(at) for at in range(len(labels))]] * 2
    names = [f"class {index}" for index in range(num_classes)]
    return {"step": [0, 6], "x": places, "y": places, "label": labels, "classes": names} | more


def test_confusion_is_scikit_learns_normalised_over_true_classes():
    luck = np.random.default_rng(0)
    truth = luck.integers(5, size=400)
    called = [luck.integers(5, size=400), np.where(luck.random(400) < 0.8, truth, 0)]
    counts = [confusion_matrix(truth, one) for one in called]
    panel = confusion(run_of(found_of(5, confusion=[one.tolist() for one in counts])))
    for shown, one in zip(panel.snapshots, called, strict=True):
        shares = 100 * confusion_matrix(truth, one, normalize="true")
        np.testing.assert_allclose(shown.shown, shares, atol=0.5)
        assert shown.note == f"{100 * accuracy_score(truth, one):.0f} % right"
    assert [one.flops for one in panel.snapshots] == [0, 600]
    assert panel.drawing["classes"] == [f"class {index}" for index in range(5)]


@pytest.mark.parametrize("found", [None, {}, found_of(40, confusion=[None, None])])
def test_no_panel_without_a_confusion(found):
    assert confusion(run_of(found)) is None


def test_the_map_says_how_often_the_vote_was_right_where_it_is_known():
    curves = {"monitor": {"step": [0, 3], "accuracy": [0.256, 0.7]}}
    panel = embedding(run_of(found_of(2, [0, 1, 1]), curves=curves))
    assert [one.note for one in panel.snapshots] == ["26 % right", ""]
    assert panel.shared["class"] == [0, 1, 1]
    assert panel.shared["legend"] == [("class 0", CLASSES[0]), ("class 1", CLASSES[1])]
    assert panel.snapshots[0].shown == {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0]}
    assert embedding(run_of()) is None


def test_the_rarest_of_many_classes_share_a_colour():
    labels = [index for index in range(12) for _ in range(1 + (index != 4) + (index not in (4, 7)))]
    panel = embedding(run_of(found_of(12, labels)))
    legend = panel.shared["legend"]
    assert len(legend) == len(CLASSES) == len({colour for _, colour in legend})
    assert legend[-1][0] == OTHERS
    names = {legend[place][0] for one, place in zip(labels, panel.shared["class"], strict=True)
             if one in (4, 7)}  # fmt: skip
    assert names == {OTHERS}


def tiles(folder, rows_of, steps=(0, 3, 6)):
    found = []
    for step in steps:
        path = folder / f"rows-step{step:06d}.npz"
        rows = rows_of(step / steps[-1])
        np.savez(path, **{name: (255 * row).round().astype(np.uint8) for name, row in rows.items()})
        found.append(Sample("rows", step, path))
    return found


def test_pictures_show_the_input_and_what_training_changed_first(tmp_path):
    shown = 0.5 * np.random.default_rng(0).random((12, 16, 16, 3))

    def rows_of(progress):
        rebuilt = shown + 0.3 * (1 - progress)
        return {"input": shown, "corrupted": shown / 2, "reconstruction": rebuilt, "codes": rebuilt}

    panel = reconstruction(run_of(tiles=tiles(tmp_path, rows_of)))
    assert panel.shared == {"num_rows": 3}
    assert [one.note for one in panel.snapshots] == ["30 % off", "15 % off", "0 % off"]
    assert all(one.shown.startswith("data:image/webp;base64,") for one in panel.snapshots)
    assert panel.drawing["snapshots"] == []


def test_texts_show_their_samples_at_every_step(tmp_path):
    found = []
    for step, word in ((0, "the"), (6, "a dog")):
        path = tmp_path / f"rows-step{step:06d}.json"
        rows = {"input": ["a dog"] * 6, "reconstruction": [word] * 6, "sample": [word] * 6}
        path.write_text(json.dumps(rows))
        found.append(Sample("rows", step, path))
    panel = reconstruction(run_of(texts=found))
    assert panel.kind == "texts"
    assert panel.shared == {"rows": ["input", "reconstruction"]}
    assert panel.snapshots[0].shown == [["a dog"] * 3, ["the"] * 3]
    assert panel.snapshots[1].shown == [["a dog"] * 3, ["a dog"] * 3]


def test_one_step_is_no_panel(tmp_path):
    one = tiles(tmp_path, lambda _: {"input": np.zeros((4, 16, 16, 3))}, steps=(6,))
    assert reconstruction(run_of(tiles=one)) is None
    assert reconstruction(run_of()) is None


def test_rows_upto_the_first_that_changes():
    first, last = np.zeros((4, 3)), np.zeros((4, 3))
    assert num_rows_to_change(first, last) == 4
    last[2:] = 1
    assert num_rows_to_change(first, last) == 3
    assert num_rows_to_change([["a"], ["b"], ["c"]], [["a"], ["d"], ["e"]]) == 2


def test_samples_are_laid_out_about_as_wide_as_high_in_their_order():
    samples = np.zeros((2, 12, 40, 40, 3), np.uint8)
    samples[0, :, :, :, 0] = np.arange(12)[:, None, None]
    samples[1, :, :, :, 0] = 100 + np.arange(12)[:, None, None]
    pixels = np.asarray(laid_out(samples))
    across = np.flatnonzero(np.diff(pixels[WIDE_GAP + 5, :, 3].astype(int)) > 0) + 6
    down = np.flatnonzero(np.diff(pixels[:, across[0], 3].astype(int)) > 0) + 6
    found = pixels[np.ix_(down, across)][..., 0]
    assert found.tolist() == [
        [*range(6)], [*range(100, 106)], [*range(6, 12)], [*range(106, 112)],
    ]  # fmt: skip
    assert pixels.shape[1] == 6 * (40 + GAP) + GAP + 2 * (WIDE_GAP - GAP)
    assert pixels[0, 0, 3] == 0


def test_small_samples_are_enlarged_and_what_would_not_fill_a_line_is_left_out():
    image = laid_out(np.full((2, 7, 10, 16, 3), 9, np.uint8))
    assert image.width == 3 * (2 * 16 + GAP) + GAP + 2 * (WIDE_GAP - GAP)
    assert (np.asarray(image)[..., 3] == 255).sum() == 12 * 20 * 32
