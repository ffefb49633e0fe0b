import numpy as np
import torch
from scipy import sparse

from trivium.probes.scaling import Scaling

from .conftest import words


def test_used_channels_have_mean_square_one_and_a_column_of_ones():
    features, _ = words(100, 20, 3)
    wider = sparse.hstack([sparse.csr_array((100, 2)), features], format="csr")
    scaled = Scaling.of(wider).apply(wider).toarray()
    assert scaled.shape == (100, 21)
    np.testing.assert_allclose(np.square(scaled).mean(0), 1)
    np.testing.assert_array_equal(scaled[:, -1], 1)


def test_logits_are_the_same_in_both_coordinates_and_the_way_back_is_exact():
    features, _ = words(50, 20, 3)
    scaling = Scaling.of(features)
    point = torch.randn(1, 3 * (len(scaling.used) + 1), dtype=torch.float64)
    weights = scaling.weights(point, 3)
    scaled = scaling.apply(features) @ point.numpy().reshape(3, -1).T
    np.testing.assert_allclose(features @ weights[:, :-1].T + weights[:, -1], scaled)
    torch.testing.assert_close(scaling.point(weights), point)
