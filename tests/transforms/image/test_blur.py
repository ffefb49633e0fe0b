import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as peer

from trivium.transforms.image.pixels import RandomGaussianBlur, blur_weights


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", [3, 5, 9])
def test_each_sample_agrees_with_torchvision(channels, kernel_size):
    images = torch.rand(24, channels, 16, 21)
    blur = RandomGaussianBlur(kernel_size=kernel_size, p=0.7)
    parameters = blur.sample(tuple(images.shape))
    ours = blur.transform(images, parameters)
    assert parameters.chosen.any()
    assert not parameters.chosen.all()
    for i, image in enumerate(images):
        if parameters.chosen[i]:
            image = peer.gaussian_blur(image, kernel_size, [parameters.sigma[i].item()])
            torch.testing.assert_close(ours[i], image, atol=2e-6, rtol=0)
        else:
            assert torch.equal(ours[i], image)


@settings(max_examples=40, deadline=None)
@given(
    sigma=st.floats(0.1, 10.0),
    reach=st.integers(0, 6),
    size=st.integers(7, 40),
)
def test_weights_are_an_average(sigma, reach, size):
    weights = blur_weights(torch.tensor([sigma]), 2 * reach + 1, size)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(1, size))


def test_default_kernel_is_a_tenth_of_the_side():
    images = torch.rand(2, 1, 96, 96)
    parameters = RandomGaussianBlur(p=1.0).sample(tuple(images.shape))
    by_default = RandomGaussianBlur(p=1.0).transform(images, parameters)
    nine = RandomGaussianBlur(kernel_size=11, p=1.0).transform(images, parameters)
    assert torch.equal(by_default, nine)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="odd"):
        RandomGaussianBlur(kernel_size=4)
    with pytest.raises(ValueError, match="sigma"):
        RandomGaussianBlur(sigma=(0.0, 1.0))
    with pytest.raises(ValueError, match="too large for 4 x 4"):
        RandomGaussianBlur(kernel_size=9, p=1.0)(torch.rand(1, 1, 4, 4))
