"""The panels that open the page: which runs they show, and what of them."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from trivium.comparison.content import assemble
from trivium.comparison.report import write_report

from .fabricated import fabricate

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
WAYS = {
    "cross_entropy": ("supervised", 0.5),
    "supcon": ("supervised", 1.5),
    "vae": ("unsupervised", 0.5),
    "simclr": ("self_supervised", 0.5),
}
WATCH = """<script>
addEventListener("load", () => {
  const root = document.documentElement;
  const seen = (panel) => panel.querySelector("td")?.style.getPropertyValue("--share")
    ?? panel.querySelector("circle")?.style.transform ?? panel.querySelector("img").src.length;
  for (const panel of document.querySelectorAll("[data-panel]")) {
    const before = seen(panel), slider = panel.querySelector("input");
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
    const n = panel.dataset.panel;
    root.dataset[`moved${n}`] = before !== seen(panel);
    root.dataset[`said${n}`] = panel.querySelector("output").textContent;
    root.dataset[`named${n}`] = slider.closest("label").textContent.trim().length > 0;
  }
});
</script></body>"""


def held_out(entry, accuracy):
    """The validation accuracy by which the run of a paradigm is chosen."""
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["records"].append(
        {"task": "label", "probe": "linear", "fraction": 1.0, "draw": 0, "split": "validation",
         "metric": "accuracy", "value": accuracy, "num_test": 40, "C": 1.0}
    )  # fmt: skip
    path.write_text(json.dumps(document))


def make(root, ways=WAYS, **settings):
    found = []
    for objective, (paradigm, level) in ways.items():
        for seed in (0, 1):
            skill = dict.fromkeys((0.01, 0.1, 1.0), level)
            entry = fabricate(root, objective, paradigm, skill, seed=seed, **settings)
            held_out(entry, level / 2)
            for step in (0, 200, 400):
                noise = np.random.default_rng(step).integers(256, size=(40, 240, 3), dtype=np.uint8)
                path = entry.run_folder / "pictures" / f"rows-step{step:06d}.png"
                Image.fromarray(noise).save(path)
            found.append(entry)
    return found


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    return make(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def panels(entries):
    return assemble(entries, commit="0" * 40).panels


def test_each_paradigm_is_shown_by_its_best_on_validation_and_its_first_seed(panels):
    assert [(one.paradigm, one.run.facts.objective, one.run.facts.seed) for one in panels] == [
        ("supervised", "supcon", 0),
        ("unsupervised", "vae", 0),
        ("self_supervised", "simclr", 0),
    ]
    assert [one.kind for one in panels] == ["confusion", "pictures", "map"]


def test_rows_of_the_confusion_are_shares_and_its_caption_counts(panels):
    confusion = panels[0]
    looks = confusion.run.film
    for frame, counts, caption in zip(
        confusion.frames, looks["confusion"], confusion.captions, strict=True
    ):
        np.testing.assert_allclose(np.sum(frame, axis=1), 1, atol=0.01)
        right = np.trace(counts) / np.sum(counts)
        assert caption.endswith(f"{100 * right:.0f} % right")


def test_pictures_are_cropped_to_their_first_columns(panels):
    assert all(uri.startswith("data:image/webp;base64,") for uri in panels[1].frames)
    assert panels[1].captions == ("step 0", "step 200", "step 400")


def test_images_come_first_whatever_the_name_of_the_dataset(tmp_path):
    text = make(tmp_path / "a", dataset="a_text", modality="text")
    image = make(tmp_path / "b", dataset="b_image")
    found = assemble([*text, *image], commit="0" * 40).panels
    assert {one.run.facts.dataset for one in found} == {"b_image"}
    assert len(assemble(text, commit="0" * 40).panels) == 3


def test_runs_without_looks_leave_their_panel_out(tmp_path):
    found = make(tmp_path)
    for entry in found:
        (entry.run_folder / "looks.json").unlink()
    assert [one.kind for one in assemble(found, commit="0" * 40).panels] == ["pictures"]


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_the_sliders_move_what_they_say(entries, tmp_path):
    write_report(entries, tmp_path, commit="abc1234")
    path = tmp_path / "index.html"
    path.write_text(path.read_text().replace("</body>", WATCH))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
        "--virtual-time-budget=20000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, re.findall(r".*CONSOLE.*", done.stderr)
    root = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", done.stdout)[0]))
    for number in range(3):
        assert root[f"moved{number}"] == root[f"named{number}"] == "true"
        assert root[f"said{number}"].startswith("step 0")
