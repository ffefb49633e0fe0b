"""The page in a real browser: figures drawn, sliders alive, no error, no request."""

import re
import subprocess

import pytest

from trivium.report.html import script
from trivium.report.report import write_report
from trivium.report.tables import with_prefix

from .browser import CHROMIUM as BROWSER

WATCH = r"""<script>
addEventListener("load", () => {
  const finish = () => {
    if (document.documentElement.dataset.ready !== "yes") { setTimeout(finish, 50); return; }
    const strip = document.querySelector(".strip");
    const slider = strip.querySelector("input");
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
    const root = document.documentElement;
    const plots = [...document.querySelectorAll("[data-figure]")];
    root.dataset.plots = plots.length;
    root.dataset.traced = plots.filter((plot) =>
      plot.querySelector(".scatterlayer .trace, .barlayer .trace, .heatmaplayer .hm")).length;
    root.dataset.step = strip.querySelector("output").textContent;
    root.dataset.shown = strip.querySelectorAll("img:not([hidden])").length;
    root.dataset.requests = performance.getEntriesByType("resource")
      .filter((entry) => !/^data:|\/plotly\.min\.js$/.test(entry.name)).length;
    root.dataset.overflow = root.scrollWidth > root.clientWidth;
  };
  finish();
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_in_a_browser(grid, tmp_path):
    write_report(grid, tmp_path, commit="abc1234")
    path = tmp_path / "shapes.html"
    path.write_text(path.read_text().replace("</body>", WATCH))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
        "--virtual-time-budget=20000", "--window-size=1280,900", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, re.findall(r".*CONSOLE.*", done.stderr)
    root = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", done.stdout)[0]))
    assert root["ready"] == "yes"
    assert int(root["plots"]) == int(root["traced"]) == 8
    assert (root["step"], root["shown"]) == ("0", "1")
    assert root["requests"] == "0"
    assert root["overflow"] == "false"


def test_json_cannot_end_its_script_element():
    assert "<" not in script({"name": "</script>"})


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (2e12, "2 T"), (215_000.0, "215 k"), (1.5e9, "1.5 G")],
)
def test_prefixed(value, text):
    assert with_prefix(value) == text
