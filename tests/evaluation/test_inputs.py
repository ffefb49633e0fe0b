import numpy as np
import pytest

from trivium.evaluation.checks import check_features, class_indices, training_classes


def test_integer_features_become_floats():
    assert check_features(np.ones((2, 3), np.uint8)).dtype == np.float32


def test_class_indices_are_positions():
    classes = training_classes(np.array([30, 10, 20, 10]))
    np.testing.assert_array_equal(class_indices(np.array([20, 30, 10]), classes), [1, 2, 0])


@pytest.mark.parametrize("label", [5, 15, 99])
def test_unknown_labels_are_named(label):
    with pytest.raises(ValueError, match=rf"labels \[{label}\] have no training item"):
        class_indices(np.array([10, label]), np.array([10, 20]))
