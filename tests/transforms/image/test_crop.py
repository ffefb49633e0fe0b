import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import RandomResizedCrop as PeerCrop
from torchvision.transforms.v2 import functional as peer

from trivium.transforms.image.geometry import CropParameters, RandomResizedCrop


def peer_crop(image, parameters, i, size):
    top, left, height, width, flip = (field[i].item() for field in parameters)
    image = peer.resized_crop(image, top, left, height, width, size, antialias=True)
    return peer.horizontal_flip(image) if flip else image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [None, 14, 45, (20, 40)])
def test_each_sample_agrees_with_torchvision(channels, size):
    images = torch.rand(48, channels, 28, 33)
    crop = RandomResizedCrop(size=size, scale=(0.05, 1.0), flip=0.5)
    parameters = crop.sample(tuple(images.shape))
    ours = crop.transform(images, parameters)
    out = crop.size or (28, 33)
    theirs = torch.stack([peer_crop(x, parameters, i, list(out)) for i, x in enumerate(images)])
    assert parameters.flip.any()
    assert not parameters.flip.all()
    assert tuple(ours.shape) == crop.output_shape(tuple(images.shape))
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@pytest.mark.parametrize("downscale", [1, 2, 3, 50])
def test_downscale_is_relative_to_the_input(downscale):
    images = torch.rand(6, 3, 28, 33)
    out = max(1, 28 // downscale), max(1, 33 // downscale)
    relative, absolute = RandomResizedCrop(downscale=downscale), RandomResizedCrop(size=out)
    assert relative.output_shape((6, 3, 28, 33)) == (6, 3, *out)
    parameters = relative.sample((6, 3, 28, 33))
    ours = relative.transform(images, parameters)
    assert torch.equal(ours, absolute.transform(images, parameters))


def test_whole_picture_without_crop_is_the_picture():
    images = torch.rand(8, 3, 32, 32)
    crop = RandomResizedCrop(p=0.0)
    torch.testing.assert_close(crop(images), images, atol=1e-6, rtol=0)


def test_transform_leaves_its_input_alone():
    images = torch.rand(8, 3, 32, 32)
    before = images.clone()
    RandomResizedCrop()(images)
    assert torch.equal(images, before)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    scale=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)).map(sorted),
    ratio=st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)).map(sorted),
    seed=st.integers(0, 2**31),
)
def test_boxes_lie_inside_and_within_their_ranges(height, width, scale, ratio, seed):
    crop = RandomResizedCrop(scale=scale, ratio=ratio)
    generator = torch.Generator().manual_seed(seed)
    top, left, high, wide, _ = crop.sample((64, 1, height, width), generator)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (high >= 1).all()
    assert (wide >= 1).all()
    assert (top + high <= height).all()
    assert (left + wide <= width).all()
    central = (top == (height - high) // 2) & (left == (width - wide) // 2)
    # Sides are whole: area and ratio may leave their ranges by what half a pixel does.
    least = (high - 0.5).clamp(min=0) * (wide - 0.5).clamp(min=0)
    most = (high + 0.5) * (wide + 0.5)
    area = height * width
    in_scale = (least <= scale[1] * area + 1e-3) & (most >= scale[0] * area - 1e-3)
    in_ratio = ((wide - 0.5) / (high + 0.5) <= ratio[1] + 1e-3) & (
        (wide + 0.5) / (high - 0.5) >= ratio[0] - 1e-3
    )
    assert ((in_scale & in_ratio) | central).all()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (28, 96), (96, 20)])
def test_boxes_are_distributed_as_torchvision_s(height, width):
    num = 3000
    ours = RandomResizedCrop(scale=(0.2, 1.0)).sample((num, 3, height, width))
    image = torch.empty(3, height, width)
    theirs = [PeerCrop(32, scale=(0.2, 1.0)).make_params([image]) for _ in range(num)]
    for name in ("top", "left", "height", "width"):
        mine = getattr(ours, name).double().sort().values
        peers = torch.tensor([box[name] for box in theirs]).double().sort().values
        points = torch.cat([mine, peers]).unique()
        gap = torch.searchsorted(mine, points, right=True) - torch.searchsorted(
            peers, points, right=True
        )
        # Kolmogorov-Smirnov, level 1e-4: 2.23 * sqrt(2 / num).
        assert gap.abs().max() / num < 2.23 * (2 / num) ** 0.5, name


def test_parameters_are_named_per_sample():
    parameters = RandomResizedCrop().sample((5, 3, 32, 32))
    assert isinstance(parameters, CropParameters)
    assert {len(field) for field in parameters} == {5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (0.5, 0.2)},
        {"scale": (0.1, 1.5)},
        {"ratio": (1.0,)},
        {"flip": 2.0},
        {"size": 0},
        {"downscale": 0},
        {"downscale": 2, "size": 16},
    ],
)
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomResizedCrop(**wrong)
