"""The page in a browser, as its readers meet it: any width, either theme, by keyboard alone."""

import itertools

import pytest

from trivium.report.report import write_report

from .browser import CHROMIUM, Browser
from .fabricated_pairs import DATASET, fabricate_pairs

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
PAGES = ("one", "several", "overview", "overview of several")
READERS = [*itertools.product((1280, 380), ("light", "dark"))]
STATE = """(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const root = document.documentElement;
  return {
    width: root.scrollWidth,
    plots: all("[data-figure]").length,
    drawn: all("[data-figure]").filter((one) => one.querySelector(
      ".scatterlayer .trace, .barlayer .trace, .heatmaplayer .hm")).length,
    broken: all('a[href^="#"]').map((one) => one.getAttribute("href"))
      .filter((href) => !document.getElementById(href.slice(1))),
    repeated: all("[id]").map((one) => one.id)
      .filter((id, at, ids) => ids.indexOf(id) !== at),
    levels: all("h1, h2, h3, h4, h5, h6").map((one) => Number(one.tagName[1])),
    unnamed: all("img:not([alt]), img[alt=''], [role=img]:not([aria-label]), " +
      "[role=region]:not([aria-label]), audio:not([aria-label])").length,
    requests: performance.getEntriesByType("resource")
      .filter((one) => !/^data:|\\/plotly\\.min\\.js$/.test(one.name)).length,
    height: root.scrollHeight,
    ink: getComputedStyle(document.body).color,
    ground: getComputedStyle(document.body).backgroundColor,
    words: getComputedStyle(document.querySelector("[data-figure] text")).fill,
  };
})()"""
# What has the focus: its place among all elements, and whether it is seen to have it.
FOCUSED = """(() => {
  const one = document.activeElement, shown = one.closest(".chooser label") ?? one;
  const place = [...document.querySelectorAll("*")].indexOf(one);
  return one === document.body ? null
    : [place, getComputedStyle(shown).outlineStyle !== "none", one.outerHTML.slice(0, 120)];
})()"""
CONTROLS = """[...document.querySelectorAll(
  "a[href], button, summary, audio, input:not([type=radio]), input:checked, [tabindex='0']")]
  .filter((one) => one.checkVisibility({visibilityProperty: true}))
  .map((one) => [[...document.querySelectorAll("*")].indexOf(one), one.outerHTML.slice(0, 120)])"""


@pytest.fixture(scope="module")
def pages(grid, tmp_path_factory):
    """The pages of a report on one modality and of one on several."""
    root = tmp_path_factory.mktemp("qualities")
    write_report(grid, root / "one", commit="abc1234")
    write_report(fabricate_pairs(root / "runs"), root / "several", commit="abc1234")
    return {
        "one": root / "one" / "shapes.html",
        "several": root / "several" / f"{DATASET}.html",
        "overview": root / "one" / "index.html",
        "overview of several": root / "several" / "index.html",
    }


@pytest.mark.parametrize("name", PAGES)
def test_every_reader_gets_the_whole_page(pages, name, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        for width, scheme in READERS:
            seen = look(browser, pages[name], width, scheme)
            assert seen["width"] <= width
            assert seen["plots"] == seen["drawn"] > 2
            assert not (name.startswith("overview") and width == 1280 and seen["height"] > 12_000)
            assert (seen["broken"], seen["repeated"]) == ([], [])
            assert seen["unnamed"] == seen["requests"] == 0
            levels = seen["levels"]
            assert levels[0] == 1
            assert levels.count(1) == 1
            assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
            light, dark = (sum(rgb(seen[what])) / 3 for what in ("ground", "ink"))
            assert (light > dark) == (scheme == "light")
            # Words of the figures change with the theme.
            assert sum(map(abs, difference(seen["words"], seen["ink"]))) < 12
        assert browser.errors == []


@pytest.mark.parametrize("name", PAGES)
def test_every_control_is_reached_by_tab_and_seen(pages, name, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        look(browser, pages[name], 1280, "light")
        wanted = dict(browser.run(CONTROLS))
        assert len(wanted) > 10
        reached = set()
        for _ in range(2 * len(wanted)):
            tab(browser)
            focused = browser.run(FOCUSED)
            if focused is None:
                break
            place, is_seen, words = focused
            assert is_seen, words
            reached.add(place)
        assert [words for place, words in wanted.items() if place not in reached] == []
        assert browser.errors == []


def test_a_chooser_changes_its_figure(pages, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        look(browser, pages["one"], 380, "dark")
        browser.run("document.querySelector('[value$=\"confusion-supervised\"]').focus()")
        browser.press("ArrowRight")
        browser.run("new Promise((done) => setTimeout(done, 300))")
        shown = browser.run(
            "(() => { const plot = document.activeElement.closest('figure').querySelector('.plot');"
            " return [plot.dataset.figure, plot.ariaLabel, plot.layout.xaxis.title.text,"
            " plot.data[0].z[0].length]; })()"
        )
        assert shown[0] == "1-confusion-unsupervised"
        assert shown[1].endswith("unsupervised autoencoder")
        assert shown[3] == 4
        browser.run("document.querySelector('[value=\"1-clock\"]').click()")
        browser.run("new Promise((done) => setTimeout(done, 300))")
        title = "document.querySelector('[data-figure=\"1-clock\"]').layout.xaxis.title.text"
        assert "seconds" in browser.run(title)
        assert browser.run("document.documentElement.scrollWidth") <= 380
        assert browser.errors == []


def look(browser, page, width, scheme):
    """Open a page as a reader has it, and look at all of it."""
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
    )  # fmt: skip
    browser.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    browser.open(page)
    return browser.run(STATE)


def tab(browser):
    for kind in ("rawKeyDown", "keyUp"):
        browser.send(
            "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
        )


def rgb(colour):
    return [float(part) for part in colour.partition("(")[2].strip(")").split(",")[:3]]


def difference(first, second):
    return [a - b for a, b in zip(rgb(first), rgb(second), strict=True)]
