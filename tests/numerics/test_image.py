import pytest

from . import compute, golden
from .components import modality, trained

COMPONENTS = [name for name in trained() if modality(name) == "image"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_steps_and_features_are_as_recorded(component, stores):
    key, values = compute.measure(component, stores)
    assert golden.differences(component, key, values) == []
