import pytest
import torch

from trivium.encoders.projections import Projection


def test_features_are_the_affine_map(data):
    encoder = Projection(data, width=5)
    encoder.mean.copy_(torch.rand_like(encoder.mean))
    encoder.components.copy_(torch.randn_like(encoder.components))
    values = torch.rand(3, *data.shape)
    features = encoder(values)
    expected = torch.einsum("bi,wi->bw", values.reshape(3, -1) - encoder.mean, encoder.components)
    torch.testing.assert_close(features.pooled, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(features.tokens[:, 0], features.pooled)
    assert encoder.width == features.pooled.shape[1] == 5
    assert list(encoder.parameters()) == []


def test_as_many_components_as_values_but_no_more(grey):
    assert Projection(grey, width=784).components.shape == (784, 784)
    for width in (0, 785):
        with pytest.raises(ValueError, match="between 1 and 784 components"):
            Projection(grey, width=width)


def test_other_modalities_are_refused(grey):
    with pytest.raises(ValueError, match="is audio"):
        Projection(grey._replace(modality="audio", shape=(16000,)), width=5)
