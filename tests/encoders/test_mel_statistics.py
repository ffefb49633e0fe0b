"""Statistics of log-mel against NumPy, clip by clip in float64 (within 1e-4)."""

import numpy as np
import pytest
import torch

from clips import CLIPS, alone, mels
from trivium.data.spectrogram import SILENCE
from trivium.encoders.baselines import MelStatistics

LENGTHS = [24, 17, 2, 1]


@pytest.fixture
def encoder():
    return MelStatistics(CLIPS)


def truth(view):
    """Mean and deviation over the frames of each band, of each clip alone."""
    rows = []
    for values, valid in zip(view.values.double().numpy(), view.valid.numpy(), strict=True):
        frames = values[0][valid]
        rows.append(np.concatenate([frames.mean(0), frames.std(0)]))
    return np.stack(rows)


def test_features_are_numpys_of_the_valid_frames(encoder):
    view = mels(LENGTHS)
    features = encoder(view.values, view.valid)
    np.testing.assert_allclose(features.pooled, truth(view), atol=1e-4)
    assert torch.equal(features.tokens[:, 0], features.pooled)
    assert features.valid.all()
    assert features.pooled.shape == (4, encoder.width) == (4, 32)


def test_a_clip_alone_is_as_in_a_padded_batch(encoder):
    view = mels(LENGTHS)
    pooled = encoder(view.values, view.valid).pooled
    noise = view.values.where(view.valid[:, None, :, None], torch.randn_like(view.values))
    torch.testing.assert_close(encoder(noise, view.valid).pooled, pooled)
    for number in range(len(LENGTHS)):
        one = encoder(alone(view, number).values).pooled[0]
        torch.testing.assert_close(pooled[number], one, atol=1e-5, rtol=1e-5)


def test_silence_does_not_vary(encoder):
    pooled = encoder(torch.full((1, 1, 9, 16), SILENCE)).pooled[0]
    torch.testing.assert_close(pooled[:16], torch.full((16,), SILENCE))
    assert pooled[16:].abs().max() < 1e-4


def test_there_is_nothing_to_train(encoder):
    assert list(encoder.parameters()) == []
    assert encoder.stem.target(mels([24]).values).shape == (1, 24, 16)


def test_other_data_are_refused(grey):
    with pytest.raises(ValueError, match="takes audio, but 'grey' is image"):
        MelStatistics(grey)
