"""The affine map of whole spectrograms against a sum that is written out (within 1e-4)."""

import pytest
import torch

from clips import CLIPS, alone, mels
from trivium.data.spectrogram import SILENCE
from trivium.encoders.projections import MelProjection

LENGTHS = [24, 17, 1]


@pytest.fixture
def encoder():
    encoder = MelProjection(CLIPS, width=5)
    encoder.mean.copy_(torch.rand_like(encoder.mean))
    encoder.components.copy_(torch.randn_like(encoder.components))
    return encoder


def test_features_are_the_affine_map_of_the_clip_and_the_silence_behind_it(encoder):
    view = mels(LENGTHS)
    for number, length in enumerate(LENGTHS):
        whole = torch.full((24, 16), SILENCE)
        whole[:length] = view.values[number, 0, :length]
        expected = encoder.components @ (whole.flatten() - encoder.mean)
        for given in (view.values[number : number + 1], alone(view, number).values):
            torch.testing.assert_close(encoder(given).pooled[0], expected, atol=1e-3, rtol=1e-4)
    features = encoder(view.values, view.valid)
    assert torch.equal(features.pooled, encoder(view.values).pooled)
    assert torch.equal(features.tokens[:, 0], features.pooled)
    assert features.valid.all()


def test_its_stem_predicts_frames(encoder):
    view = mels(LENGTHS)
    assert (encoder.stem.grid, encoder.stem.target_width) == ((24, 1), 16)
    target = encoder.stem.target(view.values)
    torch.testing.assert_close(target, (view.values.squeeze(1) + 4) / 3)


def test_as_many_components_as_values_but_no_more():
    assert MelProjection(CLIPS, width=384).components.shape == (384, 384)
    for width in (0, 385):
        with pytest.raises(ValueError, match="between 1 and 384 components"):
            MelProjection(CLIPS, width=width)


def test_other_data_are_refused(grey):
    with pytest.raises(ValueError, match="takes audio, but 'grey' is image"):
        MelProjection(grey, width=5)
