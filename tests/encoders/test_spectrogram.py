"""Patches of log-mel against transformers 5.23 (`ASTEmbeddings`), and padding that does nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.transforms import MelSpectrogram

from clips import CLIPS, SOUND, alone, mels, noisy_tones, perturbed, spectrogram
from trivium.data.spectrogram import SILENCE, LogMel, settings_of
from trivium.encoders.spectrogram import MelPatches, MelPatchStem
from trivium.types import View

WIDE = CLIPS._replace(shape=(1, 50, 32), sound=(8000.0, 256.0, 32.0, 32.0, 0.0, 4000.0))
"""50 frames of 32 bands: a multiple of no patch below."""
LENGTHS = [50, 33, 32, 17, 15, 4, 1]
CLOSE = {"atol": 1e-5, "rtol": 1e-4}

patches = pytest.mark.parametrize("patch", [(4, 32), (16, 16), (1, 8)], ids=str)
poolings = pytest.mark.parametrize("pooling", ["mean", "cls", "both"])


def encoder_of(patch, **settings):
    return perturbed(spectrogram(WIDE, patch=patch, **settings)).eval()


@pytest.fixture
def view():
    return mels(LENGTHS, data=WIDE)


def test_tokens_are_those_of_transformers_patches_of_torchaudios_log_mel():
    from transformers import ASTConfig
    from transformers.models.audio_spectrogram_transformer.modeling_audio_spectrogram_transformer import (  # noqa: E501
        ASTEmbeddings,
    )

    stem = perturbed(MelPatchStem(CLIPS, patch=(8, 8), width=12, positions="learned"))
    config = ASTConfig(
        hidden_size=12, patch_size=8, num_mel_bins=16, max_length=24,
        frequency_stride=8, time_stride=8, hidden_dropout_prob=0.0,
    )  # fmt: skip
    theirs = ASTEmbeddings(config)
    rate, window, hop, bands, low, high = SOUND
    waves = torch.stack(noisy_tones([768, 768, 768]))
    power = MelSpectrogram(
        int(rate), n_fft=int(window), hop_length=int(hop), n_mels=int(bands), f_min=low,
        f_max=high, pad_mode="constant",
    )(waves)  # fmt: skip
    standardised = (power.clamp(min=1e-5).log()[:, :, :24] - CLIPS.mean[0]) / CLIPS.std[0]
    with torch.no_grad():
        # Its images are [band, frame], ours [frame, band]; its tokens begin with two of its own.
        kernel = stem.projection.weight.view(12, 1, 8, 8).transpose(2, 3)
        theirs.patch_embeddings.projection.weight.copy_(kernel)
        theirs.patch_embeddings.projection.bias.copy_(stem.projection.bias)
        by_band = stem.positions.view(3, 2, 12).transpose(0, 1).reshape(6, 12)
        theirs.position_embeddings[0, 2:] = by_band
        expected = theirs(standardised.transpose(1, 2))[:, 2:]
        ours = stem(LogMel(settings_of(SOUND))(waves).unsqueeze(1))
    by_time = expected.view(3, 2, 3, 12).transpose(1, 2).reshape(3, 6, 12)
    torch.testing.assert_close(ours, by_time, **CLOSE)


@patches
@poolings
def test_a_clip_alone_is_as_in_a_padded_batch(view, patch, pooling):
    encoder = encoder_of(patch, pooling=pooling)
    features = encoder(view.values, view.valid)
    for number, length in enumerate(LENGTHS):
        one = encoder(alone(view, number).values)
        count = -(-length // patch[0]) * encoder.stem.grid[1]
        assert features.valid[number].sum() == one.tokens.shape[1] == count
        torch.testing.assert_close(features.pooled[number], one.pooled[0], **CLOSE)
        torch.testing.assert_close(features.tokens[number, :count], one.tokens[0], **CLOSE)


@patches
def test_tokens_without_data_do_not_matter(view, patch):
    encoder = encoder_of(patch)
    tokens = encoder.stem.valid_tokens(view.valid)[:, :: encoder.stem.grid[1]]
    frames = tokens.repeat_interleave(patch[0], 1)[:, : view.valid.shape[1]]
    assert not frames.all()
    noise = torch.where(frames[:, None, :, None], view.values, torch.randn_like(view.values))
    first, second = (encoder(values, view.valid) for values in (view.values, noise))
    torch.testing.assert_close(second.pooled, first.pooled, **CLOSE)
    torch.testing.assert_close(second.tokens[first.valid], first.tokens[first.valid], **CLOSE)


@patches
def test_all_valid_is_the_same_as_no_word_on_it(patch):
    encoder, view = encoder_of(patch), mels([50, 50], data=WIDE)
    assert view.valid.all()
    for told, untold in zip(encoder(*view), encoder(view.values), strict=True):
        assert torch.equal(told, untold)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=3), st.sampled_from([1, 3, 4, 16, 50, 64]))
@settings(max_examples=25)
def test_shapes_of_tokens(lengths, frames):
    encoder = spectrogram(WIDE, patch=(frames, 16))
    view = mels(lengths, data=WIDE)
    tokens = encoder.embed(view.values, view.valid)
    rows = [-(-length // frames) for length in lengths]
    assert tokens.values.shape == (len(lengths), 2 * max(rows), 32)
    assert tokens.valid.sum(1).tolist() == [2 * number for number in rows]
    assert encoder.stem.length(view.values) == 2 * max(rows)
    assert encoder.stem.grid_of(view.values) == encoder.stem.plane(2 * max(rows))
    assert encoder.stem.grid == (-(-50 // frames), 2)
    ascending = tokens.valid.long().diff(dim=1)
    assert (ascending <= 0).all()
    size = (len(lengths), 2 * max(rows), frames * 16)
    assert encoder.stem.target(view.values).shape == size


def test_tokens_are_rows_of_time_and_columns_of_frequency():
    stem = MelPatches(WIDE, patch=(4, 8))
    frames, bands = torch.meshgrid(torch.arange(50), torch.arange(32), indexing="ij")
    cut = stem.patchify(stem.filled((100.0 * frames + bands)[None, None]))
    assert stem.grid == (13, 4)
    for token in range(4 * 12):
        row, column = divmod(token, 4)
        values = cut[0, token].view(4, 8)
        first = 100 * 4 * row + 8 * column
        expected = first + 100 * torch.arange(4)[:, None] + torch.arange(8)
        assert torch.equal(values, expected.float())
    assert (cut[0, -4:].view(4, 4, 8)[:, 2:] == SILENCE).all()


@patches
def test_render_undoes_target_and_adds_silence(view, patch):
    stem = MelPatches(WIDE, patch=patch)
    heard = stem.render(stem.target(view.values))
    frames = view.values.shape[2]
    torch.testing.assert_close(heard[:, :, :frames], view.values, **CLOSE)
    assert heard.shape[2] == -(-frames // patch[0]) * patch[0]
    torch.testing.assert_close(heard[:, :, frames:], torch.full_like(heard[:, :, frames:], SILENCE))
    assert stem.render(torch.full((1, 4, stem.target_width), -100.0)).eq(SILENCE).all()


def test_target_is_standardised(view):
    stem = MelPatches(WIDE, patch=(4, 32))
    expected = (view.values[:, 0, 4:8] - WIDE.mean[0]) / WIDE.std[0]
    torch.testing.assert_close(stem.target(view.values)[:, 1], expected.flatten(1))
    normalised = stem.target(view.values, normalise=True)[stem.valid_tokens(view.valid)]
    torch.testing.assert_close(normalised.mean(1), torch.zeros(len(normalised)), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std(1), torch.ones(len(normalised)), **CLOSE)
    assert stem.target(torch.full((1, 1, 4, 32), SILENCE), normalise=True).eq(0).all()


def test_shorter_clips_have_the_first_positions():
    stem = MelPatchStem(WIDE, patch=(4, 16), width=12, positions="learned")
    with torch.no_grad():
        stem.projection.weight.zero_()
        tokens = stem(mels([11], data=WIDE).values)
    assert torch.equal(tokens[0], stem.positions[:6])


def test_attention_maps_lie_on_the_clip_s_own_grid(view):
    encoder = encoder_of((16, 16))
    assert encoder.attention_map(view.values).shape == (len(LENGTHS), 2, 4, 2)
    maps = encoder.attention_map(mels([17, 3], data=WIDE).values)
    assert maps.shape == (2, 2, 2, 2)
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 2))


def test_layers_leave_padding_out(view):
    encoder = encoder_of((4, 32))
    outputs = encoder.layers(encoder.embed(view.values, view.valid))
    one = encoder.layers(encoder.embed(alone(view, 3).values))
    for batch, single in zip(outputs, one, strict=True):
        torch.testing.assert_close(batch[3, :5], single[0], **CLOSE)


def test_a_side_that_is_not_given_spans_all_bands():
    assert MelPatches(WIDE, patch=(4, None)).sides == (4, 32)
    assert spectrogram(WIDE, patch=(4, None)).arguments["patch"] == [4, None]


def test_samples_between_tokens():
    assert MelPatches(WIDE, patch=(4, 8)).samples(32) == 128


def test_impossible_patches_and_clips_are_refused(grey):
    with pytest.raises(
        ValueError, match="a patch of 5 mel bands does not divide the 32 of 'clips'"
    ):
        MelPatches(WIDE, patch=(4, 5))
    with pytest.raises(ValueError, match="takes audio, but 'grey' is image"):
        MelPatches(grey, patch=(4, 4))
    stem = MelPatchStem(WIDE, patch=(16, 16), width=12)
    assert stem(mels([64], data=WIDE).values).shape == (1, 8, 12)
    with pytest.raises(ValueError, match="have 65 frames, the encoder was built for 64 at most"):
        stem(mels([65], data=WIDE).values)


def test_a_view_of_one_frame_is_a_token():
    encoder = encoder_of((16, 16))
    features = encoder(*View(torch.full((1, 1, 1, 32), SILENCE), torch.ones(1, 1).bool()))
    assert features.tokens.shape == (1, 2, 32)
    assert features.pooled.isfinite().all()


def test_sounds_have_no_grid_of_cells():
    with pytest.raises(ValueError, match=r"pooling is 'grid', but .* is audio, of varying lengths"):
        encoder_of((4, 32), pooling="grid")
