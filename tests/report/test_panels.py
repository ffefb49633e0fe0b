"""What the panels say and draw, against scikit-learn and the files they were read from."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix

from trivium.colours import CLASSES
from trivium.report.animation import OTHERS, confusion, embedding, rebuilt
from trivium.report.records import Facts
from trivium.report.runs import Picture, Run
from trivium.training.samples import draw_rows

FACTS = Facts("shapes", "label", "image", "supervised", "cross_entropy", "vit_nano", 0, 600, 60)
METRICS = {"flops_per_step": 100}


def run_of(film=None, pictures=(), texts=(), curves=None, facts=FACTS):
    return Run(facts, None, METRICS, curves, None, film, tuple(pictures), tuple(texts))


def film_of(num_classes, labels=(), **more):
    labels = list(labels)
    places = [[float(at) for at in range(len(labels))]] * 2
    names = [f"class {index}" for index in range(num_classes)]
    return {"step": [0, 6], "x": places, "y": places, "label": labels, "classes": names} | more


def test_confusion_is_scikit_learns_normalised_over_true_classes():
    luck = np.random.default_rng(0)
    truth = luck.integers(5, size=400)
    called = [luck.integers(5, size=400), np.where(luck.random(400) < 0.8, truth, 0)]
    counts = [confusion_matrix(truth, one) for one in called]
    panel = confusion(run_of(film_of(5, confusion=[one.tolist() for one in counts])))
    for look, one in zip(panel.looks, called, strict=True):
        shares = 100 * confusion_matrix(truth, one, normalize="true")
        np.testing.assert_allclose(look.shown, shares, atol=0.5)
        assert look.note == f"{100 * accuracy_score(truth, one):.0f} % right"
    assert [look.flops for look in panel.looks] == [0, 600]
    assert panel.drawing["classes"] == [f"class {index}" for index in range(5)]


@pytest.mark.parametrize("film", [None, {}, film_of(40, confusion=[None, None])])
def test_no_panel_without_a_confusion(film):
    assert confusion(run_of(film)) is None


def test_the_map_says_how_often_the_vote_was_right_where_it_is_known():
    curves = {"monitor": {"step": [0, 3], "accuracy": [0.256, 0.7]}}
    panel = embedding(run_of(film_of(2, [0, 1, 1]), curves=curves))
    assert [look.note for look in panel.looks] == ["26 % right", ""]
    assert panel.shared["class"] == [0, 1, 1]
    assert panel.shared["legend"] == [("class 0", CLASSES[0]), ("class 1", CLASSES[1])]
    assert panel.looks[0].shown == {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0]}
    assert embedding(run_of()) is None


def test_the_rarest_of_many_classes_share_a_colour():
    labels = [index for index in range(12) for _ in range(1 + (index != 4) + (index not in (4, 7)))]
    panel = embedding(run_of(film_of(12, labels)))
    legend = panel.shared["legend"]
    assert len(legend) == len(CLASSES) == len({colour for _, colour in legend})
    assert legend[-1][0] == OTHERS
    names = {legend[place][0] for one, place in zip(labels, panel.shared["class"], strict=True)
             if one in (4, 7)}  # fmt: skip
    assert names == {OTHERS}


def sheets(folder, rows_of, steps=(0, 3, 6)):
    found = []
    for step in steps:
        path = folder / f"rows-step{step:06d}.png"
        Image.fromarray(draw_rows(rows_of(step / steps[-1]))).save(path)
        found.append(Picture("rows", step, path))
    return found


def test_pictures_show_the_input_and_what_training_changed_first(tmp_path):
    luck = np.random.default_rng(0)
    shown = 0.5 * luck.random((12, 1, 16, 16))

    def rows_of(progress):
        rebuilt = shown + 0.3 * (1 - progress)
        return {"input": shown, "corrupted": shown / 2, "reconstruction": rebuilt, "codes": rebuilt}

    panel = rebuilt(run_of(pictures=sheets(tmp_path, rows_of)))
    assert panel.shared == {"num_rows": 3}
    assert [look.note for look in panel.looks] == ["30 % off", "15 % off", "0 % off"]
    assert all(look.shown.startswith("data:image/webp;base64,") for look in panel.looks)
    assert panel.drawing["looks"] == []


def test_texts_show_their_samples_at_every_look(tmp_path):
    found = []
    for step, word in ((0, "the"), (6, "a dog")):
        path = tmp_path / f"rows-step{step:06d}.json"
        rows = {"input": ["a dog"] * 6, "reconstruction": [word] * 6, "sample": [word] * 6}
        path.write_text(json.dumps(rows))
        found.append(Picture("rows", step, path))
    panel = rebuilt(run_of(texts=found))
    assert panel.kind == "texts"
    assert panel.shared == {"rows": ["input", "reconstruction"]}
    assert panel.looks[0].shown == [["a dog"] * 3, ["the"] * 3]
    assert panel.looks[1].shown == [["a dog"] * 3, ["a dog"] * 3]


def test_one_look_is_no_film(tmp_path):
    one = sheets(tmp_path, lambda _: {"input": np.zeros((4, 1, 16, 16))}, steps=(6,))
    assert rebuilt(run_of(pictures=one)) is None
    assert rebuilt(run_of()) is None
