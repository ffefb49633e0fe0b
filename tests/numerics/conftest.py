import pytest


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Where a module keeps its small stores."""
    return tmp_path_factory.mktemp("stores")
