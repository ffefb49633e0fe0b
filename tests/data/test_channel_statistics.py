import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trivium.data.writer import channel_statistics

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 3), st.just(3), st.just(2)))


@given(pictures)
def test_it_is_numpys_mean_and_std(images):
    mean, std = channel_statistics(images, np.arange(len(images)))
    np.testing.assert_allclose(mean, (images / 255).mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(std, (images / 255).std((0, 2, 3)), atol=1e-6)


def test_only_the_asked_pictures_count():
    images = np.zeros((4, 1, 2, 2), np.uint8)
    images[2:] = 255
    assert channel_statistics(images, np.array([2, 3])) == ((1.0,), (0.0,))
