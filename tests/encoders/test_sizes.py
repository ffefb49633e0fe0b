"""Images of another size than the dataset's: where positions lie, and what stays the same.

The learned grid is compared with timm 1.0 (`resample_abs_pos_embed`), to 1e-6.
"""

import pytest
import torch
from timm.layers import resample_abs_pos_embed
from torch.nn import functional as F

from trivium.encoders.layers import sincos_2d
from trivium.encoders.patches import PatchStem
from trivium.encoders.resnet import ResNet
from trivium.encoders.vit import ViT


def stem_of(data, **settings):
    return PatchStem(data, **{"patch": 4, "width": 16} | settings)


def positions_of(stem, height, width):
    """What a stem adds to the tokens of images of a size."""
    with torch.no_grad():
        stem.projection.weight.zero_()
        return stem(torch.rand(1, stem.channels, height, width))[0]


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_the_full_size_keeps_its_bits(data, positions):
    stem = stem_of(data, positions=positions)
    values = torch.rand(3, *data.shape)
    expected = stem.projection(stem.patchify(stem.standardise(values))) + stem.positions
    assert torch.equal(stem(values), expected)


def test_a_stretched_grid_of_the_same_size_is_the_grid():
    assert torch.equal(sincos_2d(16, (3, 7), (3, 7)), sincos_2d(16, (3, 7)))


def test_equal_relative_places_have_equal_codes():
    # The centre of each block of three cells is that of its middle one.
    fine, coarse = sincos_2d(32, (9, 6)), sincos_2d(32, (3, 2), (9, 6))
    torch.testing.assert_close(coarse.view(3, 2, 32), fine.view(9, 6, 32)[1::3, 1::3])


def test_codes_between_cells_are_those_of_their_coordinates():
    halves = sincos_2d(32, (2, 2), (4, 4)).view(2, 2, 32)
    angles = torch.outer(torch.tensor([0.5, 2.5]), 10000.0 ** -(torch.arange(8) / 8))
    torch.testing.assert_close(halves[0, :, :8], angles.sin())
    torch.testing.assert_close(halves[:, 0, 24:], angles.cos())


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 20), (4, 4), (40, 48)])
def test_learned_positions_are_interpolated_as_timm_does(colour, height, width):
    stem = stem_of(colour, positions="learned")
    expected = resample_abs_pos_embed(
        stem.positions[None],
        new_size=[height // 4, width // 4],
        old_size=[8, 8],
        num_prefix_tokens=0,
        antialias=False,
    )[0]
    torch.testing.assert_close(positions_of(stem, height, width), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("size", "grid"), [((14, 14), (4, 4)), ((13, 9), (3, 2)), ((1, 3), (1, 1)), ((28, 14), (7, 4))]
)
def test_sides_go_to_the_nearest_multiple_of_the_patch(grey, size, grid):
    stem = stem_of(grey)
    values = torch.rand(2, 1, *size)
    assert stem.grid_of(values) == grid
    sides = [4 * grid[0], 4 * grid[1]]
    resized = F.interpolate(values, sides, mode="bilinear", antialias=True)
    assert torch.equal(stem(values), stem(resized))
    assert stem(values).shape == (2, grid[0] * grid[1], 16)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_a_vit_encodes_smaller_images(grey, pooling, positions):
    sizes = {"patch": 4, "width": 24, "depth": 2, "num_heads": 3}
    encoder = ViT(grey, name="vit_test", **sizes, pooling=pooling, positions=positions)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(torch.rand(3, 1, 14, 14))
    assert features.tokens.shape == (3, 16, 24)
    assert features.valid.shape == (3, 16)
    features.pooled.float().pow(3).sum().backward()
    assert all(parameter.grad.count_nonzero() for parameter in encoder.parameters())


def test_a_resnet_encodes_smaller_images(grey):
    features = ResNet(grey, name="resnet_test", depth=18).eval()(torch.rand(2, 1, 14, 14))
    assert features.tokens.shape == (2, 4, 512)
    assert features.pooled.shape == (2, 512)
