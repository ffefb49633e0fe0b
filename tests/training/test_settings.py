import pytest

from trivium.training.settings import TrainerSettings

VALUES = {
    "batch_size": 8,
    "gradient_clip": None,
    "precision": "32-true",
    "accelerator": "cpu",
    "devices": 1,
    "strategy": "auto",
    "num_threads": 1,
    "checkpoint_seconds": 60.0,
    "checkpoint_steps": None,
}


def test_several_devices_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"trainer\.devices is 2: a run uses one device so far"):
        TrainerSettings(**{**VALUES, "devices": 2})
