import pytest

from . import compute, golden
from .components import modality, names, trained

SEVERAL = [name for name in trained() if "+" in modality(name)]
OTHERS = [name for name in names() if name not in trained()]


@pytest.mark.parametrize("component", SEVERAL)
def test_steps_and_features_are_as_recorded(component, stores):
    key, values = compute.measure(component, stores)
    assert golden.differences(component, key, values) == []


@pytest.mark.parametrize("component", OTHERS)
def test_probes_and_stores_are_as_recorded(component, stores):
    key, values = compute.measure(component, stores)
    assert golden.differences(component, key, values) == []
