"""Data of several modalities through every entry point, from one store in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from recomputed import check_cells, check_text, recomputed

ROOT = Path(__file__).resolve().parents[2]
# Several commands one after the other: what they import is imported once.
DRIVER = """
import contextlib, io, json, runpy, sys
sys.path.insert(0, sys.argv[1])
outcomes = []
for script, *rest in json.loads(sys.stdin.read()):
    sys.argv = [f"{sys.path[0]}/{script}.py", *rest]
    code, said = 0, io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
            if not isinstance(code, int):
                print(code, file=said)
                code = 1
    outcomes.append((code, said.getvalue()))
print(json.dumps(outcomes))
"""
OPEN = "num_samples: null, mean: null, std: null"
DATA = [
    "data=synthetic_pairs",
    "data.num_train=400",
    "data.num_test=100",
    "data.missing=0.3",
    "data.spec={tasks: null, num_samples: null, "
    f"image: {{shape: [3, 32, 32], {OPEN}}}, "
    "text: {shape: [24], num_samples: null, vocabulary: null}, "
    f"audio: {{shape: [1, 48, 32], {OPEN}}}}}",
]
SHORT = [
    "budget=steps",
    "budget.steps=2",
    "trainer.batch_size=32",
    "monitor.num_items=40",
    "monitor.num_glances=1",
    "monitor.pictures=false",
    "monitor.sentinels.action=warn",
]
TOWERS = ["encoder=towers_nano", "encoder.image.patch=8"]
PROBE = ["probe.fractions=[1.0]", "probe.num_draws=1", "probe.C=[0.01]"]
CLIP, CROSS_ENTROPY = "objective=self_supervised/clip", "objective=supervised/cross_entropy"
CROSS_ATTENTION = "encoder.fusion=cross_attention"
MODALITIES = ("image", "text", "audio")
DIRECTIONS = [f"{one} to {other}" for one in MODALITIES for other in MODALITIES if one != other]
LINEAR = [f"linear {direction}" for direction in DIRECTIONS if "text" in direction]


def begin(tower, checkpoint):
    return f"towers={{{tower}: {{checkpoint: {checkpoint}, frozen: true}}}}"


LOCKED = begin("image", "outputs/runs/alone")
ALONE = ["encoder=vit_nano", "encoder.patch=8", "run_dir=outputs/runs/alone"]
WHOLE = {"data": "synthetic_pairs", "probe": [*DATA[1:], *PROBE]}
CELLS = {
    "clip": WHOLE | {"objectives": ["clip"], "overrides": [*DATA[1:], *SHORT, *TOWERS]},
    "cross_entropy": WHOLE
    | {
        "objectives": ["cross_entropy"],
        "overrides": [*DATA[1:], *SHORT, *TOWERS, CROSS_ATTENTION],
    },
    "alone": WHOLE
    | {"part": "image", "objectives": ["simclr"], "overrides": [*DATA[1:], *SHORT, *ALONE]},
}
GRID = {
    "defaults": [{"override /hydra/sweeper": "grid"}],
    "grid": {"name": "pairs", "index": None, "seeds": [0], "cells": CELLS},
}
CHOSEN = ["--config-dir", "more_conf", "grid=pairs"]
CHAIN = [
    ["prepare", "-m", "launcher=basic", *CHOSEN],
    ["pretrain", "-m", "launcher=basic", *CHOSEN],
    ["pretrain", *DATA, *SHORT, *TOWERS, CLIP, LOCKED, "run_dir=outputs/runs/locked"],
    ["probe", "-m", "launcher=basic", *CHOSEN],
    ["compare", *CHOSEN, "report=outputs/report"],
    ["compare", "runs=''", "report=outputs/tracked"],
]
# What one command says when it refuses: the choices, and words of its one sentence.
WRONG = [
    (
        ["data=fashion_mnist", *TOWERS, CLIP],
        "clip makes sense of several, but the dataset fashion_mnist is image",
    ),
    (
        ["data=fashion_mnist", "encoder=towers_nano", CROSS_ENTROPY],
        "Towers encodes several, but the dataset fashion_mnist is image",
    ),
    (
        [*DATA, "encoder=vit_nano", CROSS_ENTROPY],
        "ViT encodes image, but the dataset synthetic_pairs is image+text+audio",
    ),
    (
        [*DATA, *TOWERS, "objective=self_supervised/simclr"],
        "no value for image+text+audio",
    ),
    ([*DATA, *TOWERS, CLIP, "part=video"], "part=video is no part of synthetic_pairs"),
    ([*DATA, "encoder=vit_nano", "part=video"], "part=video is no part of synthetic_pairs"),
    (
        [*DATA, *TOWERS, CLIP, "~objective_views", "+objective_views={image: plain, text: plain}"],
        "objective_views names no recipe for audio",
    ),
    (
        [*DATA, *TOWERS, CLIP, "objective_views.image=contrastive"],
        "the recipes make different numbers of views",
    ),
    ([*DATA, *TOWERS, CLIP, "objective.pairs=[[image, text]]"], "objective.pairs leaves out audio"),
    ([*DATA, *TOWERS, CLIP, "encoder.fusion=sum"], "choose concatenation or cross_attention"),
    (
        [*DATA, *TOWERS, CLIP, LOCKED, "encoder.image.width=32"],
        "the image tower cannot begin with vit_nano",
    ),
    (
        [*DATA, *TOWERS, CLIP, "+towers.smell.checkpoint=outputs/runs/locked"],
        "towers.smell is set, but the encoder towers_nano has no such tower",
    ),
    (
        [*DATA, *TOWERS, CLIP, "towers={image: {chekpoint: outputs/runs/locked}}"],
        "towers.image is {'chekpoint': 'outputs/runs/locked'}; expected checkpoint",
    ),
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder after all commands, and exit code and errors of each."""
    place = tmp_path_factory.mktemp("several")
    (place / "more_conf" / "grid").mkdir(parents=True)
    text = "# @package _global_\n" + yaml.safe_dump(GRID, sort_keys=False)
    (place / "more_conf" / "grid" / "pairs.yaml").write_text(text)
    environment = os.environ | {"DVC_ROOT": str(place), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    wrong = [["pretrain", *choices, "run_dir=outputs/wrong"] for choices, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(ROOT / "pipelines")],
        input=json.dumps([*CHAIN, *wrong]),
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    for words, (code, said) in zip(CHAIN, outcomes, strict=False):
        assert code == 0, f"{words}: {said}"
    return place / "outputs", outcomes[len(CHAIN) :]


def the(folder, start):
    """The one folder whose name begins like this: the rest is what it is known by."""
    (found,) = folder.glob(f"{start}-*")
    return found


def records(folder):
    return json.loads((folder / "probe.json").read_text())["records"]


def names(folder):
    return {path.parent.name for path in folder.glob("*/probe.json")}


@pytest.mark.slow
def test_towers_the_fusion_and_every_direction_are_probed(ran):
    folder = the(ran[0] / "probes", "synthetic_pairs-clip-0")
    assert names(folder) == {*MODALITIES, "fused", *DIRECTIONS, *LINEAR}
    probes = {record["probe"] for record in records(folder / "fused")}
    for one in MODALITIES:
        assert {f"linear without {one}", f"knn without {one}"} <= probes
    assert "zero-shot" in {record["probe"] for record in records(folder / "image")}
    for one in (*MODALITIES, "fused"):
        found = {
            r["metric"]: r["value"] for r in records(folder / one) if r["probe"] == "diagnostics"
        }
        views = set() if one == "fused" else {"alignment", "lidar"}
        assert found.keys() == {"rankme", "alpha_req", "uniformity"} | views
        assert found["rankme"] > 1
        assert (folder / one / "features.npy").is_file()
    for direction in DIRECTIONS:
        found = {record["metric"]: record["value"] for record in records(folder / direction)}
        assert found["recall@1"] <= found["recall@5"] <= found["recall@10"] <= 1
        # Three in ten samples lack one modality each: fewer than 100 have both of two.
        assert 60 < found["num_candidates"] < 100
        assert 0 < found["chance@5"] < 0.2


@pytest.mark.slow
def test_a_supervised_fusion_is_probed_without_a_joint_space(ran):
    folder = the(ran[0] / "probes", "synthetic_pairs-cross_entropy-0")
    assert names(folder) == {*MODALITIES, "fused", *LINEAR}


@pytest.mark.slow
def test_one_part_alone_is_as_any_data_of_its_modality(ran):
    folder = the(ran[0] / "probes", "alone-on-synthetic_pairs.image")
    assert names(folder) == {"image", "linear image to text", "linear text to image"}
    for name in names(folder):
        facts = json.loads((folder / name / "probe.json").read_text())["facts"]
        assert (facts["modality"], facts["encoder"]) == ("image", "vit_nano")


@pytest.mark.slow
def test_a_frozen_tower_stays_bit_for_bit(ran):
    runs = ran[0] / "runs"
    alone, locked, free = (
        load_file(folder / "encoder.safetensors")
        for folder in (runs / "alone", runs / "locked", the(runs, "synthetic_pairs-clip-0"))
    )
    for key, values in alone.items():
        assert np.array_equal(values, locked[f"towers.image.{key}"]), key
    assert any(not np.array_equal(v, free[f"towers.image.{key}"]) for key, v in alone.items())


@pytest.mark.slow
def test_raw_inputs_have_their_own_probes_and_retrieval(ran):
    folder = the(ran[0] / "probes", "raw-on-synthetic_pairs")
    ridge = {f"ridge {direction}" for direction in DIRECTIONS}
    durations = {"duration text to audio", "duration audio to text"}
    assert names(folder) == {*MODALITIES, *ridge, *durations, *LINEAR}
    for direction in LINEAR:  # of raw features it is the control of ridge regression
        control = direction.replace("linear", "ridge")
        assert records(folder / direction) == records(folder / control)
    found = {r["metric"]: r["value"] for r in records(folder / "ridge text to audio")}
    assert found["recall@5"] > 2 * found["chance@5"]


@pytest.mark.slow
def test_the_report_has_them_all(ran):
    report = ran[0] / "report"
    assert (report / "index.html").is_file()
    found = json.loads((report / "comparison.json").read_text())["records"]
    tasks = {record["task"] for record in found}
    assert {"shape", *DIRECTIONS} <= tasks
    objectives = {
        (record["objective"], record["modality"])
        for record in found
        if record["task"] == "image to text"
    }
    several = "image+text+audio"
    linear = {(one, "image") for one in ("clip", "cross_entropy", "simclr", "raw")}
    assert objectives == {("clip", several), ("ridge", several), *linear}
    assert "does learning together help" in (report / "results.md").read_text()


@pytest.mark.slow
def test_every_number_of_the_report_follows_from_the_predictions(ran):
    folders = [path.parent for path in (ran[0] / "probes").rglob("probe.json")]
    truth = recomputed(folders)
    cells = json.loads((ran[0] / "report" / "comparison.json").read_text())["cells"]
    assert check_cells(truth, cells) > 100
    seen = set(check_text(truth, (ran[0] / "report" / "report.md").read_text()))
    left = {key for key in truth if key not in seen}
    # Of variations and of what is withheld the tables show accuracy alone, at one share of labels.
    assert all(key[-1] == "macro_f1" or "/" in key[6] + key[-1] for key in left)
    assert len(seen) > 100


@pytest.mark.slow
def test_every_number_has_a_metric_of_its_own_in_the_tracker(ran):
    from mlflow import MlflowClient

    from trivium.evaluation.results import read_evaluation

    folder = the(ran[0] / "probes", "synthetic_pairs-clip-0")
    evaluations = [read_evaluation(path.parent) for path in folder.glob("*/probe.json")]
    client = MlflowClient(f"sqlite:///{ran[0].parent}/mlruns/mlflow.db")
    (run,) = client.search_runs(["1"], f"tags.checkpoint = '{evaluations[0].checkpoint}'")
    tracked = {k: value for k, value in run.data.metrics.items() if k.startswith("probe/")}
    measured = [value for each in evaluations for value in each.summary().values()]
    assert sorted(tracked.values()) == pytest.approx(sorted(measured))
    assert {
        "probe/image/linear/test_accuracy_100pct",
        "probe/image/zero-shot/test_accuracy",
        "probe/image to text/retrieval/test_recall_at_5",
        "probe/linear image to text/retrieval/test_recall_at_5",
        "probe/fused/linear without image/test_accuracy_100pct",
        "probe/fused/diagnostics/validation_rankme",
    } <= tracked.keys()


@pytest.mark.slow
def test_the_tracking_store_alone_gives_the_same_numbers(ran):
    grid, tracked = (
        json.loads((ran[0] / name / "comparison.json").read_text())["records"]
        for name in ("report", "tracked")
    )
    assert len(grid) > 100
    assert sorted(map(json.dumps, grid)) == sorted(map(json.dumps, tracked))
    pages = [path.read_text().lower() for path in (ran[0] / "tracked").glob("*.html")]
    assert any("pretraining loss" in page for page in pages)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_choice_is_one_sentence(ran, number):
    code, said = ran[1][number]
    assert code == 1
    assert WRONG[number][1] in said
    assert "Traceback" not in said
