"""One fabricated grid for all tests that only read it."""

import pytest

from trivium.report.records import Entry

from .fabricated import fabricate_grid


@pytest.fixture(scope="session")
def grid(tmp_path_factory) -> list[Entry]:
    return fabricate_grid(tmp_path_factory.mktemp("grid"))
