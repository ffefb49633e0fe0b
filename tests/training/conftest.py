"""A small store, a small encoder, and a tracking store of their own."""

import hydra.utils
import pytest
import torch
from omegaconf import OmegaConf

from trivium.data.prepare import prepare
from trivium.encoders.vit import ViT
from trivium.training.budget import Budget
from trivium.training.folder import RunFolder
from trivium.training.optimizer import WarmupCosine
from trivium.training.settings import MonitorSettings, PretrainingRun, TrainerSettings
from yamls import read

VIEWS = OmegaConf.to_container(read("views/image.yaml"))
COLLAPSE = {"patience": 0.5, "tolerance": 1e-4, "lowest_rank": 1.0, "action": "warn"}
DATA = {
    "name": "synthetic",
    "modality": "image",
    "licence": "CC0-1.0",
    "parser": "trivium.data.datasets.synthetic",
    "num_train": 300,
    "num_test": 60,
    "seed": 0,
    "visible": ["shape", "colour", "size", "position", "count"],
    "spec": {"shape": [3, 32, 32]},
}


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return prepare(DATA, tmp_path_factory.mktemp("stores") / "synthetic")


@pytest.fixture(scope="session")
def tracking_root(tmp_path_factory):
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture
def tracked(tracking_root, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tracking_root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tracking_root


@pytest.fixture
def make_objective(store):
    def make(kind, *, seed=0, **settings):
        torch.manual_seed(seed)
        data = store.spec("shape")
        encoder = ViT(data, name="tiny", patch=8, width=16, depth=1, num_heads=2)
        return kind(encoder, data, **settings)

    return make


@pytest.fixture
def make_run(make_objective):
    def make(kind, *, views="plain", budget=None, seed=0, monitor=None, trainer=None, **settings):
        return PretrainingRun(
            objective=make_objective(kind, seed=seed, **settings),
            views=hydra.utils.instantiate(VIEWS[views]),
            optimiser=lambda groups: torch.optim.AdamW(groups, lr=1e-3),
            schedule=WarmupCosine(warmup=0.1),
            weight_decay=0.05,
            budget=budget or Budget(steps=6),
            trainer=TrainerSettings(
                **{
                    "batch_size": 32,
                    "gradient_clip": 1.0,
                    "precision": "32-true",
                    "accelerator": "cpu",
                    "devices": 1,
                    "strategy": "auto",
                    "num_threads": None,
                    "checkpoint_seconds": 1e9,
                    "checkpoint_steps": None,
                }
                | (trainer or {})
            ),
            monitor=monitor
            or MonitorSettings(
                num_items=40,
                num_glances=2,
                pictures=False,
                sentinels=COLLAPSE,
            ),
            seed=seed,
            task="shape",
            facts={
                "dataset": "synthetic",
                "modality": "image",
                "paradigm": kind.paradigm,
                "objective": kind.__name__.lower(),
                "encoder": "tiny",
                "seed": seed,
                "task": "shape",
                "protocol": "test",
                "identity": "d",
            },
            config={"seed": seed, "objective": {"name": kind.__name__}},
        )

    return make


@pytest.fixture
def make_folder(tmp_path):
    def make(name="run", identity="d"):
        folder = RunFolder(tmp_path / name, identity)
        folder.begin({"seed": 0})
        return folder

    return make
