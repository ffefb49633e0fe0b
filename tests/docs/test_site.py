"""The documentation site is built without a warning: no link inside it is dead."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site_has_no_dead_link(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", ROOT / "docs", site]
    subprocess.run(command, check=True)
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    assert {"index.html", "usage.html", "api/trivium/features/extract/index.html"} <= pages
