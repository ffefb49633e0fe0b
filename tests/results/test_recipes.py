"""Of today's configs: what sets a run apart from its record, and what does not."""

import pytest
from hydra import initialize_config_dir

from commands import ROOT
from trivium.compose import composed
from trivium.config import register
from trivium.results.verify import rerun

PRETRAIN = ["data=synthetic", "objective=self_supervised/simclr", "seed=1"]
PROBE = ["checkpoint=outputs/runs/x", "data=synthetic"]


@pytest.fixture(scope="module")
def hydra():
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def usual(hydra):
    return rerun(composed, PRETRAIN, PROBE)


def test_it_holds_what_makes_the_run_again(usual):
    assert usual.pretrain == tuple(PRETRAIN)
    assert usual.probe == ("data=synthetic",)
    assert usual.data == ""  # not prepared
    assert '"pretrain.objective": 1' in usual.numerics
    assert '"probe.probe": 1' in usual.numerics


@pytest.mark.parametrize(
    ("pretrain", "probe", "aspects"),
    [
        (["objective.temperature=0.37"], [], ["settings"]),
        (["seed=2"], [], ["settings"]),
        (["objective.numerics=99"], [], ["numerics"]),
        ([], ["probe.numerics=99"], ["numerics"]),
        ([], ["probe.num_draws=2"], ["settings"]),
        (["trainer.precision=bf16-mixed"], [], []),
        (["run_dir=elsewhere", "trainer.accelerator=cpu"], ["probe_dir=elsewhere"], []),
    ],
)
def test_what_computes_is_compared_and_nothing_else(usual, pretrain, probe, aspects):
    other = rerun(composed, [*PRETRAIN, *pretrain], [*PROBE, *probe])
    assert other.changed(usual._asdict()) == aspects


def test_the_raw_input_has_no_pretraining(hydra):
    raw = rerun(composed, (), PROBE)
    assert raw.pretrain == ()
    assert "pretrain" not in raw.numerics
