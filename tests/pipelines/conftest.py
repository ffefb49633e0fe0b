import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An empty folder to run in, with a tracking store of its own."""
    return tmp_path_factory.mktemp("project")
