import pytest
import torch
from torchvision.transforms.v2 import functional as peer

from trivium.transforms.image.colour import RandomGreyscale, RandomSolarise
from trivium.transforms.image.geometry import RandomHorizontalFlip
from trivium.transforms.image.pixels import ToFloat


def compare(op, images, peer_function, **tolerance):
    """Chosen samples as torchvision has them, the others bit for bit as they were."""
    parameters = op.sample(tuple(images.shape))
    ours = op.transform(images, parameters)
    assert parameters.chosen.any()
    assert not parameters.chosen.all()
    for i, chosen in enumerate(parameters.chosen):
        theirs = peer_function(images[i]) if chosen else images[i]
        if not chosen or not tolerance:
            assert torch.equal(ours[i], theirs)
        else:
            torch.testing.assert_close(ours[i], theirs, rtol=0, **tolerance)


@pytest.mark.parametrize("channels", [1, 3])
def test_flip_is_torchvision_s(channels):
    compare(RandomHorizontalFlip(), torch.rand(40, channels, 9, 10), peer.horizontal_flip)


@pytest.mark.parametrize("channels", [1, 3])
def test_greyscale_is_torchvision_s(channels):
    compare(
        RandomGreyscale(p=0.5),
        torch.rand(40, channels, 9, 10),
        lambda image: peer.rgb_to_grayscale(image, num_output_channels=channels),
        atol=1e-6,
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_solarise_is_torchvision_s(channels):
    images = torch.rand(40, channels, 9, 10)
    images[:, :, 0, 0] = 0.4
    compare(RandomSolarise(threshold=0.4, p=0.5), images, lambda x: peer.solarize(x, 0.4))


def test_every_byte_becomes_torchvision_s_float():
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(ToFloat()(images), peer.to_dtype(images, torch.float32, scale=True))


def test_halves_become_floats_and_integers_are_refused():
    assert ToFloat()(torch.rand(1, 1, 2, 2, dtype=torch.float16)).dtype == torch.float32
    with pytest.raises(ValueError, match="int64"):
        ToFloat()(torch.zeros(1, 1, 2, 2, dtype=torch.int64))


@pytest.mark.parametrize("op", [RandomHorizontalFlip, RandomGreyscale, RandomSolarise])
def test_probabilities_hold_per_sample(op):
    shape = (10_000, 3, 4, 4)
    for p in (0.0, 0.2, 0.7, 1.0):
        share = op(p=p).sample(shape).chosen.float().mean().item()
        assert abs(share - p) < 5 * (p * (1 - p) / shape[0]) ** 0.5 + 1e-9
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        op(p=1.1)


def test_a_wrong_threshold_is_named():
    with pytest.raises(ValueError, match="threshold"):
        RandomSolarise(threshold=2.0)
