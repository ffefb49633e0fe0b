import pytest
from jaxtyping import TypeCheckError

from trivium.training.budget import StepCost


def test_types_are_checked_and_an_int_is_a_float():
    assert StepCost(lambda _: 30).affordable(100) == 3
    with pytest.raises(TypeCheckError, match="Expected type"):
        StepCost(lambda _: 30).affordable("100")
