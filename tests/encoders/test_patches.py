import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from trivium.encoders.patches import Patches, PatchStem
from trivium.types import DataSpec


def spec(channels, height, width):
    mean, std = (0.3, 0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3, 0.35)[:channels]
    return DataSpec("any", "image", (channels, height, width), 2, 10, mean, std)


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_stem_equals_a_strided_convolution(data, positions):
    stem = PatchStem(data, patch=4, width=24, positions=positions)
    channels = data.shape[0]
    convolution = nn.Conv2d(channels, 24, kernel_size=4, stride=4)
    convolution.weight.data = stem.projection.weight.data.view(24, channels, 4, 4)
    convolution.bias.data = stem.projection.bias.data
    values = torch.rand(3, *data.shape)
    mean, std = (torch.tensor(x).view(1, -1, 1, 1) for x in (data.mean, data.std))
    expected = convolution((values - mean) / std).flatten(2).transpose(1, 2) + stem.positions
    torch.testing.assert_close(stem(values), expected, atol=1e-5, rtol=1e-5)
    assert stem.num_tokens == stem(values).shape[1]


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5) | st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
@settings(max_examples=25, deadline=None)
def test_unpatchify_undoes_patchify(channels, rows, columns, patch):
    height, width = (patch, patch) if isinstance(patch, int) else patch
    stem = Patches(spec(channels, rows * height, columns * width), patch=patch)
    assert stem.grid == (rows, columns)
    values = torch.rand(2, *stem_shape(stem))
    patches = stem.patchify(values)
    assert patches.shape == (2, stem.num_tokens, stem.target_width)
    assert torch.equal(stem.unpatchify(patches), values)
    torch.testing.assert_close(stem.render(stem.target(values)), values)


def stem_shape(stem):
    return stem.channels, stem.grid[0] * stem.sides[0], stem.grid[1] * stem.sides[1]


@pytest.mark.parametrize("normalise", [False, True])
def test_loss_agrees_with_transformers_mae(data, normalise):
    # transformers 5.23, ViTMAEForPreTraining on standardised images.
    channels, side, _ = data.shape
    stem = Patches(data, patch=4)
    config = ViTMAEConfig(
        image_size=side,
        patch_size=4,
        num_channels=channels,
        norm_pix_loss=normalise,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    values = torch.rand(2, *data.shape)
    with torch.no_grad():
        output = ViTMAEForPreTraining(config)(stem.standardise(values))
    # The reference orders a patch by (row, column, channel), we by (channel, row, column).
    prediction = output.logits.view(2, -1, 4, 4, channels).permute(0, 1, 4, 2, 3).flatten(2)
    loss = stem.distance(prediction, stem.target(values, normalise=normalise))
    torch.testing.assert_close((loss * output.mask).sum() / output.mask.sum(), output.loss)


def test_normalised_target_of_a_flat_patch_is_finite(grey):
    assert Patches(grey, patch=7).target(torch.zeros(1, 1, 28, 28), normalise=True).eq(0).all()


def test_render_stays_in_range_under_autocast(colour):
    stem = Patches(colour, patch=8)
    rendered = stem.render(100 * torch.randn(2, 16, 192, dtype=torch.bfloat16))
    assert rendered.dtype == torch.float32
    assert rendered.min() == 0
    assert rendered.max() == 1


def test_prediction_takes_the_dataset_s_size_only(grey):
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        Patches(grey, patch=4).target(torch.rand(4, 1, 14, 14))


def test_painted_tokens_are_flat_patches(colour):
    stem = Patches(colour, patch=8)
    values = torch.linspace(0, 1, 16).expand(2, 16)
    patches = stem.patchify(stem.paint(values))
    assert torch.equal(patches, values[:, :, None].expand(2, 16, 192))


def test_patch_must_divide_the_image(grey):
    with pytest.raises(ValueError, match=r"patch 5 does not divide the 28x28 images of 'grey'"):
        Patches(grey, patch=5)


def test_other_modalities_are_refused(grey):
    with pytest.raises(ValueError, match="takes image, but 'words' is text"):
        Patches(grey._replace(name="words", modality="text", shape=(16,)), patch=4)


def test_positions_are_one_of_two(grey):
    with pytest.raises(ValueError, match="choose sincos or learned"):
        PatchStem.__init__.__wrapped__(  # past the type checker, as a yaml file is
            PatchStem.__new__(PatchStem), grey, patch=4, width=8, positions="rotary"
        )
