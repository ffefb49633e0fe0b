import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import finished
from trivium.data.store import Store
from trivium.evaluation import controls
from trivium.grid import Grid
from trivium.stages.subject import Subject, check_tokenizer
from yamls import begin

ROOT = Path(__file__).resolve().parents[2]
CELLS = {"synthetic": {"objectives": ["simclr"], "finetuned": ["simclr"]}}


class FakeStore(Store):
    """What is asked of a store beside its items."""

    tokenizer_sum = None

    def __init__(self, modality, tokenizer):
        self.meta = SimpleNamespace(name="glosses", modality=modality)
        self.fingerprint = "f" * 8
        self.tokenizer_sum = tokenizer


def store(modality="text", tokenizer="abc"):
    return FakeStore(modality, tokenizer)


def test_the_raw_control_of_text_is_tfidf(monkeypatch):
    monkeypatch.setattr(controls, "features", lambda _: np.eye(3))
    subject = Subject.of(None, store(), Path("cache"))
    features, facts = subject.features(store())
    assert features.shape == (3, 3)
    assert (facts["encoder"], facts["objective"], facts["modality"]) == ("tfidf", "raw", "text")
    assert (facts["paradigm"], facts["flops"], subject.checkpoint) == ("control", 0, "raw-ffffffff")


def test_ids_of_another_tokenizer_are_refused():
    facts = {"modality": "text", "tokenizer": "abc"}
    check_tokenizer(facts, store(), Path("run"))
    with pytest.raises(ValueError, match=r"data.tokenizer.path=run/tokenizer.json"):
        check_tokenizer(facts, store(tokenizer="other"), Path("run"))
    with pytest.raises(ValueError, match="glosses was tokenised otherwise"):
        check_tokenizer({"modality": "text"}, store(), Path("run"))


def test_images_have_no_tokenizer():
    check_tokenizer({"modality": "image"}, store("image", None), Path("run"))


@pytest.mark.parametrize("stage", ["pretrain", "probe", "finetune"])
def test_a_finished_single_run_is_told_without_torch(tmp_path, monkeypatch, stage):
    monkeypatch.chdir(tmp_path)
    with begin():
        grid = Grid({"name": "one", "seeds": [0], "cells": CELLS})
        (cell,) = grid.cells
        finished.prepared(grid.run(cell, 0).values)
        finished.pretrained(job := grid.run(cell, 0))
        Path(job.folder / "metrics.json").write_text('{"num_steps": 1}')
        if stage != "pretrain":
            job = grid.finetuning(cell, 0) if stage == "finetune" else grid.probes(cell, 0)[0]
            finished.measured(job)
    words = ["-X", "importtime", str(ROOT / "pipelines" / f"{stage}.py"), *job.overrides]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "DVC_ROOT": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{job.folder} holds this" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert imported.isdisjoint({"torch", "mlflow"})
