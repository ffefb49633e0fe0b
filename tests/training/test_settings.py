import pytest
import torch

from trivium.training.settings import TrainerSettings, monitor_settings, trainer_settings

VALUES = {
    "batch_size": 8,
    "gradient_clip": None,
    "precision": "auto",
    "accelerator": "cpu",
    "devices": 1,
    "strategy": "auto",
    "num_threads": 1,
    "checkpoint_seconds": 60.0,
    "checkpoint_steps": None,
}


@pytest.mark.parametrize(("flag", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_precision_follows_the_device(monkeypatch, flag, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": flag})
    assert trainer_settings(VALUES).precision == chosen
    assert trainer_settings({**VALUES, "precision": "64-true"}).precision == "64-true"


def test_several_devices_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"trainer\.devices is 2: a run uses one device so far"):
        TrainerSettings(**{**VALUES, "devices": 2})


def test_monitor_settings_nest():
    sentinels = {"patience": 0.5, "tolerance": 0.1, "lowest_rank": 2.0, "action": "warn"}
    values = {"num_items": 1, "num_glances": 2, "pictures": True, "sentinels": sentinels}
    assert monitor_settings(values).sentinels.action == "warn"
