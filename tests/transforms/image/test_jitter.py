import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as peer

from trivium.transforms.base import rows
from trivium.transforms.image.colour import ORDERS, ColourJitter

PEER = {
    "brightness": peer.adjust_brightness,
    "contrast": peer.adjust_contrast,
    "saturation": peer.adjust_saturation,
    "hue": peer.adjust_hue,
}
STRONG = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.5}


def peer_jitter(images, parameters, names=tuple(PEER)):
    results = []
    for i, image in enumerate(images):
        for name in ORDERS[parameters.order[i]]:
            if parameters.chosen[i] and name in names:
                image = PEER[name](image, getattr(parameters, name)[i].item())
        results.append(image)
    return torch.stack(results)


def coloured(batch, channels):
    """Random pictures, with the corners of the colour cube: greys, black, white, primaries."""
    images = torch.rand(batch, channels, 12, 10)
    images[0], images[1], images[2] = 0.0, 1.0, 0.3
    if channels == 3:
        images[3, 0], images[3, 1:] = 1.0, 0.0
        images[4, 1] = images[4, 0]
        images[5, 2] = images[5, 1]
        images[6] = (images[6] * 3).round() / 3
    return images


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PEER)
def test_one_change_agrees_with_torchvision(name, channels):
    images = coloured(64, channels)
    jitter = ColourJitter(**{name: STRONG[name]})
    parameters = jitter.sample(tuple(images.shape))
    theirs = peer_jitter(images, parameters, (name,))
    torch.testing.assert_close(jitter.transform(images, parameters), theirs, atol=5e-6, rtol=0)
    acts = channels == 3 or name in ("brightness", "contrast")
    assert torch.equal(theirs, images) != acts


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("num_together", [1, 7, 64])
def test_all_changes_in_random_order_agree_with_torchvision(channels, num_together):
    images = torch.rand(150, channels, 12, 10)
    jitter = ColourJitter(**STRONG, p=0.8, num_together=num_together)
    parameters = jitter.sample(tuple(images.shape))
    assert len(parameters.order.unique()) > 1
    # Hue is steep where a pixel is nearly grey, so rounding grows through four changes.
    torch.testing.assert_close(
        jitter.transform(images, parameters), peer_jitter(images, parameters), atol=1e-4, rtol=0
    )


def test_samples_that_are_not_chosen_stay_bit_for_bit():
    images = torch.rand(100, 3, 8, 8)
    jitter = ColourJitter(**STRONG, p=0.5)
    parameters = jitter.sample(tuple(images.shape))
    result = jitter.transform(images, parameters)
    same = (result == images).flatten(1).all(1)
    assert torch.equal(same, ~parameters.chosen)


def test_orders_are_shared_by_groups_and_cover_all_permutations():
    order = ColourJitter(num_together=4).sample((4000, 3, 8, 8)).order.view(-1, 4)
    assert (order == order[:, :1]).all()
    counts = order[:, 0].bincount(minlength=len(ORDERS))
    assert len(counts) == 24
    assert counts.min() > 0


@settings(max_examples=50, deadline=None)
@given(
    width=st.floats(0.0, 2.0),
    hue=st.floats(0.0, 0.5),
    p=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**31),
)
def test_factors_lie_in_their_ranges(width, hue, p, seed):
    jitter = ColourJitter(brightness=width, contrast=(0.5, 0.5 + width), hue=hue, p=p)
    drawn = jitter.sample((200, 3, 8, 8), torch.Generator().manual_seed(seed))
    assert (drawn.brightness >= max(0.0, 1 - width) - 1e-6).all()
    assert (drawn.brightness <= 1 + width + 1e-6).all()
    assert (drawn.contrast >= 0.5 - 1e-6).all()
    assert (drawn.contrast <= 0.5 + width + 1e-6).all()
    assert (drawn.saturation == 1).all()
    assert (drawn.hue.abs() <= hue + 1e-6).all()
    assert abs(drawn.chosen.float().mean() - p) < 0.25


def test_rows_of_parameters_give_the_same_rows_of_pictures():
    images = torch.rand(20, 3, 8, 8)
    jitter = ColourJitter(**STRONG)
    parameters = jitter.sample(tuple(images.shape))
    whole = jitter.transform(images, parameters)
    part = slice(5, 11)
    assert torch.equal(jitter.transform(images[part], rows(parameters, part)), whole[part])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="hue"):
        ColourJitter(hue=0.6)
    with pytest.raises(ValueError, match="brightness"):
        ColourJitter(brightness=-1.0)
    with pytest.raises(ValueError, match="num_together"):
        ColourJitter(num_together=0)
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        ColourJitter(brightness=0.5)(torch.rand(2, 4, 8, 8))
