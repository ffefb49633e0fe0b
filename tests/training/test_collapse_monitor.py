"""Each sentinel is shown the very failure that it is there for."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.budget import Budget
from trivium.training.callbacks.collapse_monitor import CollapseError
from trivium.training.run import pretrain
from trivium.training.settings import MonitorSettings
from trivium.types import Needs, Objective

PLAIN = {"label_smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0}


class Broken(Objective):
    paradigm: ClassVar = "unsupervised"
    needs: ClassVar = Needs()

    def __init__(self, encoder, data):
        super().__init__()
        self.encoder = encoder
        self.gain = nn.Parameter(torch.ones(()))


class Forgetful(Broken):
    """Has a parameter that the loss never sees."""

    def forward(self, views):
        return {"loss": self.encoder(views.views[0].values).pooled.square().mean()}


class Exploding(Broken):
    """Turns into NaN at once."""

    def forward(self, views):
        loss = self.encoder(views.views[0].values).pooled.square().mean() * self.gain
        return {"loss": loss * float("nan")}


class Stuck(Broken):
    """Cannot leave its plateau."""

    def forward(self, views):
        pooled = self.encoder(views.views[0].values).pooled
        return {"loss": 2.0 + (pooled.mean() + self.gain) * 0}

    def plateau(self, batch_size):
        return 2.0


class Collapsing(Broken):
    """Pulls all features together as hard as it can."""

    def forward(self, views):
        with torch.no_grad():
            self.encoder.trunk.norm.weight.zero_()
        pooled = self.encoder(views.views[0].values).pooled
        return {"loss": pooled.square().mean() + self.gain**2}


def watching(action="stop", lowest_rank=0.0):
    sentinels = {
        "patience": 0.3, "tolerance": 0.005, "lowest_rank": lowest_rank, "action": action,
    }  # fmt: skip
    return MonitorSettings(num_items=40, num_glances=4, pictures=False, sentinels=sentinels)


def run(kind, make_run, make_folder, store, monitor, **settings):
    parts = make_run(kind, budget=Budget(steps=16), monitor=monitor, **settings)
    return pretrain(parts, store, make_folder(), name="t", experiment="trivium", interval=2.0)


def test_a_parameter_without_gradient_is_named(store, make_run, make_folder, tracked):
    with pytest.raises(CollapseError, match="No gradient reaches 1 parameters of Forgetful: gain"):
        run(Forgetful, make_run, make_folder, store, watching())


def test_nan_stops_with_advice(store, make_run, make_folder, tracked):
    with pytest.raises(
        FloatingPointError, match=r"Exploding is nan at step 1: lower optimizer\.lr"
    ):
        run(Exploding, make_run, make_folder, store, watching())


def test_a_loss_at_its_plateau_stops(store, make_run, make_folder, tracked):
    with pytest.raises(CollapseError, match=r"stuck at 2\.0000, the plateau 2\.0000"):
        run(Stuck, make_run, make_folder, store, watching())


def test_collapsed_features_stop(store, make_run, make_folder, tracked):
    with pytest.raises(CollapseError, match="RankMe is"):
        run(Collapsing, make_run, make_folder, store, watching(lowest_rank=1.5))


def test_warn_says_it_and_goes_on(store, make_run, make_folder, tracked, capsys):
    run(Stuck, make_run, make_folder, store, watching(action="warn"))
    assert capsys.readouterr().out.count("WARNING: The loss is stuck") == 1


def test_a_healthy_run_raises_no_alarm(store, make_run, make_folder, tracked, capsys):
    run(CrossEntropy, make_run, make_folder, store, watching(), **PLAIN)
    assert "WARNING" not in capsys.readouterr().out
