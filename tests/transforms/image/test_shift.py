import pytest
import torch
from torchvision.transforms.v2 import functional as peer

from trivium.transforms.image.geometry import RandomShift


@pytest.mark.parametrize("channels", [1, 3])
def test_each_sample_is_torchvision_s_pad_and_crop(channels):
    images = torch.rand(64, channels, 28, 24)
    shift = RandomShift(fraction=0.125, flip=0.5)
    parameters = shift.sample(tuple(images.shape))
    ours = shift.transform(images, parameters)
    for i, image in enumerate(images):
        top, left, flip = (field[i].item() for field in parameters)
        theirs = peer.crop(peer.pad(image, [9, 9]), top + 9, left + 9, 28, 24)
        theirs = peer.horizontal_flip(theirs) if flip else theirs
        torch.testing.assert_close(ours[i], theirs, atol=1e-6, rtol=0)


def test_every_shift_within_reach_occurs_and_none_beyond():
    top, left, _ = RandomShift(fraction=0.125).sample((4000, 1, 32, 16))
    assert set(top.tolist()) == set(range(-4, 5))
    assert set(left.tolist()) == set(range(-2, 3))


def test_wrong_fraction_is_named():
    with pytest.raises(ValueError, match="fraction"):
        RandomShift(fraction=1.0)
