"""The control against scikit-learn's own chain of tf-idf and SVD, and against NumPy's SVD."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer

from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.encoders.projections import TermProjection
from trivium.objectives.control.lsa import LSA
from trivium.types import BOS, EOS, PAD, DataSpec, View, Views

DATA = DataSpec("short", "text", (20,), 3, 100, (), (), vocabulary=30)
NUM_TEXTS = 200
ENCODER = TermProjection(DATA, width=2)


@pytest.fixture
def texts():
    """Padded ids whose frequencies fall off, as those of words do."""
    weights = 0.8 ** torch.arange(26)
    ids = torch.multinomial(weights.expand(NUM_TEXTS, -1), 20, replacement=True) + 4
    lengths = torch.randint(5, 20, (NUM_TEXTS, 1))
    places = torch.arange(20)
    ids = ids.where(places < lengths, EOS).where(places <= lengths, PAD)
    ids[:, 0] = BOS
    return ids


@pytest.fixture
def fitted(texts):
    objective = LSA(ENCODER, DATA, width=6)
    objective.fit(texts)
    return objective.encoder


def counts(texts):
    rows = [np.bincount(text[text >= 4], minlength=30) for text in texts.numpy()]
    return np.array(rows, np.float64)


def test_features_are_tf_idf_on_the_singular_directions(fitted, texts):
    table = TfidfTransformer().fit_transform(counts(texts)).toarray()
    directions = np.linalg.svd(table, full_matrices=False)[2][:6]
    expected = table @ directions.T
    ours = fitted(texts, texts != PAD).pooled.double().numpy()
    signs = np.sign((expected * ours).sum(0))
    np.testing.assert_allclose(ours * signs, expected, atol=2e-3)


def test_what_is_not_valid_does_not_count(fitted, texts):
    valid = texts != PAD
    assert torch.equal(fitted(texts).pooled, fitted(texts, valid).pooled)
    assert torch.equal(fitted(texts.where(valid, 9), valid).pooled, fitted(texts, valid).pooled)


def test_order_does_not_count_and_a_text_without_words_is_zero(fitted, texts):
    torch.testing.assert_close(fitted(texts.flip(1)).pooled, fitted(texts).pooled)
    assert not fitted(torch.tensor([[BOS, EOS, PAD]])).pooled.any()


def test_it_is_the_same_every_time_and_comes_back_from_disk(fitted, texts, tmp_path):
    again = LSA(ENCODER, DATA, width=6)
    again.fit(texts)
    assert torch.equal(again.encoder.components, fitted.components)
    save_encoder(fitted, tmp_path, {"objective": "lsa"})
    assert torch.equal(load_encoder(tmp_path)(texts).pooled, fitted(texts).pooled)


def test_the_price_is_that_of_products_and_factorisations(texts):
    entries = np.count_nonzero(counts(texts))
    expected = 16 * 2 * entries * 16 + 8 * 2 * (NUM_TEXTS + 30) * 16**2
    assert LSA(ENCODER, DATA, width=6).fit(texts) == expected


def test_sizes_that_do_not_fit_and_a_training_step_are_refused(texts):
    with pytest.raises(ValueError, match="between 1 and 29 components"):
        LSA(ENCODER, DATA, width=30)
    with pytest.raises(ValueError, match="components need 7 texts"):
        LSA(ENCODER, DATA, width=6).fit(texts[:6])
    with pytest.raises(RuntimeError, match="LSA has no loss"):
        LSA(ENCODER, DATA, width=6)(Views((View(texts),)))
