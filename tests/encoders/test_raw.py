import pytest
import torch

from trivium.encoders.baselines import Raw


def test_features_are_the_pixels(data):
    encoder = Raw(data)
    values = torch.rand(3, *data.shape)
    features = encoder(values)
    assert torch.equal(features.pooled, values.reshape(3, -1))
    assert features.pooled.shape[1] == encoder.width
    assert features.tokens.shape == (3, 1, encoder.width)
    assert list(encoder.parameters()) == []
    assert encoder.state_dict() == {}


def test_other_modalities_are_refused(grey):
    with pytest.raises(ValueError, match="is audio"):
        Raw(grey._replace(modality="audio", shape=(16000,)))
