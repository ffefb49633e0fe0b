import pytest

from trivium.types import DataSpec

GREY = DataSpec("grey", "image", (1, 28, 28), 10, 100, (0.3,), (0.35,))
COLOUR = DataSpec("colour", "image", (3, 32, 32), 10, 100, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


@pytest.fixture
def grey() -> DataSpec:
    return GREY


@pytest.fixture
def colour() -> DataSpec:
    return COLOUR


@pytest.fixture(params=[GREY, COLOUR], ids=["1x28x28", "3x32x32"])
def data(request: pytest.FixtureRequest) -> DataSpec:
    return request.param
