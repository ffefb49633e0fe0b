"""One fabricated report for all tests that only read it."""

import pytest

from .published import publish, report


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return report(tmp_path_factory.mktemp("published"), "dots", "shapes")


@pytest.fixture(scope="session")
def results(folder):
    return publish(folder)


@pytest.fixture(scope="session")
def written(results, tmp_path_factory):
    from trivium.results.files import write_results

    place = tmp_path_factory.mktemp("docs") / "results"
    write_results(results, place / "0.1")
    return place
