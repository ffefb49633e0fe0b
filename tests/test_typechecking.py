import pytest
from jaxtyping import TypeCheckError

from trivium.pretraining.price import Price


def test_types_are_checked_and_an_int_is_a_float():
    assert Price.constant(30).affordable(100) == 3
    with pytest.raises(TypeCheckError, match="Expected type"):
        Price.constant(30).affordable("100")
