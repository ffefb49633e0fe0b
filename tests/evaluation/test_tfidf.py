import numpy as np
import pytest

from trivium.data.store import Store
from trivium.evaluation import controls


class Texts(Store):
    """A store of texts in memory: the last two are test items."""

    TEXTS = ("a red fox", "the red red bird", "the bird sings", "the whale sings", "zebu")
    num_items = len(TEXTS)

    def __init__(self):
        pass

    def split(self, name):
        assert name == "train"
        return np.arange(3)

    def texts(self, indices):
        return [self.TEXTS[index] for index in indices]


@pytest.fixture
def features():
    return controls.features(Texts()).toarray()


def test_weights_follow_the_formula(features):
    # Words in order: bird, fox, red, sings, the. Two of three train texts hold "bird".
    often, once = np.log(4 / 3) + 1, np.log(4 / 2) + 1
    expected = np.array([often, 0, 2 * often, 0, often])
    np.testing.assert_allclose(features[1], expected / np.linalg.norm(expected))
    expected = np.array([0, once, often, 0, 0])
    np.testing.assert_allclose(features[0], expected / np.linalg.norm(expected))


def test_words_are_those_of_the_train_split(features):
    assert features.shape == (5, 5)
    assert np.count_nonzero(features[3]) == 2
    assert not features[4].any()
