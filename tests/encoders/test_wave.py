"""The encoder of waves against transformers 5.23 (`Wav2Vec2FeatureEncoder`), and its padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import LONGER, alone, noisy_tones, perturbed, wave, waves
from trivium.encoders.wave import FIELD, KERNELS, STRIDE, STRIDES, WaveStem

LENGTHS = [3840, 3839, 1601, 641, 321, 320, 319, 7, 1]
CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture
def encoder():
    return perturbed(wave()).eval()


@pytest.fixture
def view():
    return waves(LENGTHS)


def test_convolutions_and_projection_equal_transformers():
    from transformers import Wav2Vec2Config
    from transformers.models.wav2vec2.modeling_wav2vec2 import (
        Wav2Vec2FeatureEncoder,
        Wav2Vec2FeatureProjection,
    )

    stem = perturbed(WaveStem(LONGER, width=12, channels=8))
    config = Wav2Vec2Config(
        hidden_size=12, conv_dim=[8] * 7, feat_extract_norm="layer", conv_bias=False,
        feat_proj_dropout=0.0,
    )  # fmt: skip
    assert (tuple(config.conv_kernel), tuple(config.conv_stride)) == (KERNELS, STRIDES)
    features, projection = Wav2Vec2FeatureEncoder(config), Wav2Vec2FeatureProjection(config)
    with torch.no_grad():
        for layer, convolution, norm in zip(
            features.conv_layers, stem.convolutions, stem.norms, strict=True
        ):
            layer.conv.weight.copy_(convolution.weight)
            layer.layer_norm.load_state_dict(norm.state_dict())
        projection.layer_norm.load_state_dict(stem.norm.state_dict())
        projection.projection.load_state_dict(stem.projection.state_dict())
        values = torch.stack(noisy_tones([2000, 2000]))
        level = values / values.square().mean(1, keepdim=True).sqrt()
        # 7 tokens: 2000 samples and zeros around them up to 7 x 320 and the field's surplus.
        around = torch.cat([torch.zeros(2, 40), level, torch.zeros(2, 280)], dim=1)
        hidden, _ = projection(features(around).transpose(1, 2))
        ours = stem(values)
    assert ours.shape == (2, 7, 12)
    torch.testing.assert_close(ours, hidden + stem.positions[:7], **CLOSE)


def test_the_numbers_in_words_are_those_of_the_convolutions():
    assert math.prod(STRIDES) == STRIDE
    field = 1
    for kernel, stride in zip(reversed(KERNELS), reversed(STRIDES), strict=True):
        field = (field - 1) * stride + kernel
    assert field == FIELD


@given(st.integers(1, 3840))
@settings(max_examples=25)
def test_one_token_of_every_320_samples(length):
    encoder = wave()
    values = torch.randn(1, length)
    tokens = encoder.embed(values, torch.ones(1, length).bool())
    count = math.ceil(length / 320)
    assert tokens.values.shape == (1, count, 32)
    assert tokens.valid.shape == (1, count)
    assert tokens.valid.all()
    assert encoder.stem.length(values) == count
    assert encoder.stem.target(values).shape == (1, count, 320)
    assert encoder.stem.plane(count) == (count, 1)


def test_a_token_sees_400_samples_around_its_own(monkeypatch):
    stem = perturbed(WaveStem(LONGER, width=12, channels=8))
    monkeypatch.setattr(stem, "level", lambda values: values)  # it sees the whole clip
    values = torch.randn(1, 2000, requires_grad=True)
    tokens = stem(values)
    for number in range(7):
        (gradient,) = torch.autograd.grad(tokens[0, number].sum(), values, retain_graph=True)
        seen = gradient[0].nonzero().flatten()
        assert seen[0] == max(320 * number - 40, 0)
        assert seen[-1] == min(320 * number + 359, 1999)


def test_a_clip_alone_is_as_in_a_padded_batch(encoder, view):
    features = encoder(view.values, view.valid)
    for number, length in enumerate(LENGTHS):
        one = encoder(alone(view, number).values)
        count = math.ceil(length / 320)
        assert features.valid[number].sum() == one.tokens.shape[1] == count
        torch.testing.assert_close(features.pooled[number], one.pooled[0], **CLOSE)
        torch.testing.assert_close(features.tokens[number, :count], one.tokens[0], **CLOSE)


def test_all_valid_is_the_same_as_no_word_on_it(encoder):
    view = waves([700, 700])
    for told, untold in zip(encoder(*view), encoder(view.values), strict=True):
        assert torch.equal(told, untold)


def test_loudness_does_not_matter_but_shape_does(encoder, view):
    louder = encoder(0.2 * view.values, view.valid).pooled
    expected = encoder(view.values, view.valid).pooled
    torch.testing.assert_close(louder, expected, atol=1e-3, rtol=1e-3)
    other = encoder(view.values.flip(1), view.valid.flip(1)).pooled
    assert not torch.allclose(other[:4], expected[:4], atol=1e-2)


def test_levelled_waves_have_unit_power_and_silence_stays(encoder, view):
    level = encoder.stem.level(view.values)
    power = torch.stack([one[one != 0].square().mean() for one in level])
    torch.testing.assert_close(power, torch.ones(len(LENGTHS)), atol=1e-3, rtol=0)
    assert torch.equal(level == 0, view.values == 0)
    silence = torch.zeros(1, 500)
    assert encoder.stem.level(silence).eq(0).all()
    assert encoder(silence).pooled.isfinite().all()


def test_target_and_render_are_inverse(encoder, view):
    stem = encoder.stem
    target = stem.target(view.values)
    expected = stem.level(view.values)
    torch.testing.assert_close(target.flatten(1), expected, **CLOSE)
    heard = stem.render(target)
    torch.testing.assert_close(heard, (expected / 10).clamp(-1, 1), **CLOSE)
    torch.testing.assert_close(stem.target(heard), target, atol=1e-3, rtol=1e-3)
    assert stem.render(100 * torch.randn(2, 3, 320)).abs().max() == 1
    odd = stem.render(stem.target(view.values[:, :3001]))
    assert odd.shape == (len(LENGTHS), 10 * 320)
    assert odd[:, 3001:].eq(0).all()


def test_normalised_target(encoder):
    values = torch.stack(noisy_tones([960, 960]))
    target = encoder.stem.target(values, normalise=True)
    pieces = values.view(2, 3, 320)
    expected = (pieces - pieces.mean(2, keepdim=True)) / pieces.std(2, keepdim=True)
    torch.testing.assert_close(target, expected, atol=1e-3, rtol=1e-3)


def test_positions_are_sines_and_cosines_of_the_place():
    stem = WaveStem(LONGER, width=12, channels=8)
    assert stem.positions.shape == (12, 12)
    for place in range(12):
        for step in range(6):
            angle = place / 10000 ** (step / 6)
            assert stem.positions[place, step].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert stem.positions[place, 6 + step].item() == pytest.approx(
                math.cos(angle), abs=1e-6
            )


def test_layers_leave_padding_out(encoder, view):
    outputs = encoder.layers(encoder.embed(view.values, view.valid))
    one = encoder.layers(encoder.embed(alone(view, 2).values))
    assert len(outputs) == 2
    for batch, single in zip(outputs, one, strict=True):
        torch.testing.assert_close(batch[2, :6], single[0], **CLOSE)
    tokens = encoder.contextualise(encoder.embed(view.values, view.valid)).tokens
    assert torch.equal(encoder.trunk.norm(outputs[-1]), tokens)


def test_every_parameter_gets_a_gradient(view):
    encoder = perturbed(wave())
    features = encoder(view.values, view.valid)
    features.tokens[features.valid].pow(3).sum().backward()
    assert all(parameter.grad.count_nonzero() for parameter in encoder.parameters())


def test_bfloat16_autocast_stays_close(encoder, view):
    with torch.autocast("cpu", torch.bfloat16):
        pooled = encoder(view.values, view.valid).pooled
    expected = encoder(view.values, view.valid).pooled
    torch.testing.assert_close(pooled.float(), expected, atol=0.1, rtol=0.1)


def test_samples_between_tokens(encoder):
    assert encoder.stem.samples(32) == encoder.stem.samples(160) == 320


def test_clips_that_are_too_long_and_other_data_are_refused(encoder, grey):
    with pytest.raises(ValueError, match="have 3841 samples, the encoder was built for 3840"):
        encoder(torch.randn(1, 3841))
    with pytest.raises(ValueError, match="takes audio, but 'grey' is image"):
        WaveStem(grey, width=12, channels=8)
