"""The control against NumPy's SVD and scikit-learn 1.9.1 (full SVD, float64), within 1e-3."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference  # noqa: N811

from clips import CLIPS, alone, mels, spectrogram
from trivium.data.spectrogram import SILENCE
from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.encoders.projections import MelProjection
from trivium.objectives.control.pca import MOST_EXACT, PCA

NUM_ITEMS = 300


@pytest.fixture
def images():
    """Raw images whose directions have clearly different variances."""
    basis = torch.linalg.qr(torch.randn(64, 64)).Q
    spread = 60 * 0.8 ** torch.arange(64)
    values = 120 + (torch.randn(NUM_ITEMS, 64) * spread) @ basis
    return values.clamp(0, 255).to(torch.uint8).view(NUM_ITEMS, 1, 8, 8)


@pytest.fixture
def fitted(encoder, data, images):
    objective = PCA(encoder, data, width=10)
    objective.fit(images)
    return objective.encoder


def test_components_are_those_of_the_svd(fitted, images):
    rows = images.flatten(1).double().numpy() / 255
    mean = rows.mean(0)
    directions = np.linalg.svd(rows - mean)[2][:10]
    np.testing.assert_allclose(fitted.mean, mean, atol=1e-6)
    cosine = (fitted.components.numpy() * directions).sum(1)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-3)


def test_features_are_scikit_learns(fitted, images):
    rows = images.flatten(1).double().numpy() / 255
    expected = Reference(10, svd_solver="full").fit(rows).transform(rows)
    ours = fitted(images / 255).pooled
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_features_are_centred_decorrelated_and_ordered(fitted, images):
    features = fitted(images / 255).pooled.double()
    covariance = features.T.cov(correction=0)
    assert features.mean(0).abs().max() < 1e-5
    variance = covariance.diagonal()
    assert (variance.diff() < 0).all()
    assert (covariance - variance.diag()).abs().max() < 1e-4 * variance[0]
    assert variance[0] > 3 * variance[-1]  # not whitened


def test_signs_are_fixed(fitted, encoder, data, images):
    largest = fitted.components.abs().argmax(1, keepdim=True)
    assert (fitted.components.gather(1, largest) > 0).all()
    again = PCA(encoder, data, width=10)
    again.fit(images)
    assert torch.equal(again.encoder.components, fitted.components)


def test_real_values_are_taken_as_they_are_and_not_changed(fitted, encoder, data, images):
    values = images / 255
    before = values.clone()
    objective = PCA(encoder, data, width=10)
    objective.fit(values)
    assert torch.equal(values, before)
    torch.testing.assert_close(objective.encoder.components, fitted.components)


def test_the_price_is_covariance_and_eigenvectors(encoder, data, images):
    price = PCA(encoder, data, width=4).fit(images)
    assert price == 2 * NUM_ITEMS * 64**2 + 9 * 64**3


def test_the_projection_comes_back_from_disk(fitted, images, tmp_path):
    save_encoder(fitted, tmp_path, {"objective": "pca"})
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(images / 255).pooled, fitted(images / 255).pooled)
    assert loaded.width == 10


def test_the_configured_encoder_is_not_used(encoder, data):
    objective = PCA(encoder, data, width=4)
    assert objective.encoder is not encoder
    assert list(objective.parameters()) == []


def test_too_many_components_are_refused(encoder, data, images):
    with pytest.raises(ValueError, match="between 1 and 64 components"):
        PCA(encoder, data, width=65)
    with pytest.raises(ValueError, match="components need 10 items"):
        PCA(encoder, data, width=10).fit(images[:9])


def whole(view, frames=24):
    """Each clip's values in a row, silence behind it, in float64."""
    rows = np.full((len(view.values), frames, 16), SILENCE)
    for row, values, valid in zip(rows, view.values, view.valid, strict=True):
        row[: valid.sum()] = values[0, valid]
    return rows.reshape(len(rows), -1)


def test_audio_equals_scikit_learn_with_silence_behind_shorter_clips():
    view = mels([20, 20, *range(1, 20)])  # none as long as the longest that is foreseen
    halves = view.values.half()  # as a store holds them
    objective = PCA(spectrogram(), CLIPS, width=6)
    objective.fit(halves, view.valid)
    assert isinstance(objective.encoder, MelProjection)
    rows = whole(view._replace(values=halves.float()))
    expected = Reference(6, svd_solver="full").fit(rows).transform(rows)
    ours = objective.encoder(halves.float(), view.valid).pooled
    np.testing.assert_allclose(ours, expected, atol=0.05)  # of tens; silence is rounded, too
    for number in (0, 7):
        one = objective.encoder(alone(view, number).values).pooled[0]
        np.testing.assert_allclose(one, expected[number], atol=0.1)


def test_larger_inputs_are_decomposed_at_random_but_repeatably():
    data = CLIPS._replace(shape=(1, 200, 16))
    assert MOST_EXACT < 200 * 16
    basis = torch.linalg.qr(torch.randn(3200, 40)).Q.T
    values = (torch.randn(300, 40) * (50 * 0.8 ** torch.arange(40))) @ basis - 4
    objectives = [PCA(spectrogram(), data, width=6) for _ in range(2)]
    prices = [each.fit(values.view(300, 1, 200, 16)) for each in objectives]
    assert torch.equal(objectives[0].encoder.components, objectives[1].encoder.components)
    exact = Reference(6, svd_solver="full").fit(values.double().numpy()).components_
    cosine = (objectives[0].encoder.components.numpy() * exact).sum(1)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-3)
    assert prices == 2 * [16 * 2 * 300 * 3200 * 16 + 8 * 2 * (300 + 3200) * 16**2]


def test_a_training_step_is_refused(encoder, data, one_view):
    with pytest.raises(RuntimeError, match="PCA has no loss"):
        PCA(encoder, data, width=4)(one_view)
