"""Sounds of fabricated runs: which are played, within which size, and how the page offers them."""

import base64
import io
import re
import subprocess

import pytest
import soundfile

from trivium.report.html import pages
from trivium.report.media import SOUND_BUDGET, playlists
from trivium.report.sections import assemble

from .browser import CHROMIUM as BROWSER
from .fabricated import fabricate

SMALL = {"num_items": 60, "probes": ("linear",)}
SKILL = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two objectives on audio, and one on images, on a page that has room for the sounds alone."""
    root = tmp_path_factory.mktemp("sounds")
    kinds = {"raw": "control", "vae": "unsupervised", "mae": "self_supervised"}
    entries = [
        fabricate(root, name, kind, SKILL, seed=seed, dataset="tones", modality="audio", **SMALL)
        for name, kind in kinds.items()
        for seed in range(1 if name == "raw" else 2)
    ]
    size = sum(
        path.stat().st_size
        for path in root.glob("runs/*-0/pictures/*.mp3")
        if path.name != "input-step000000.mp3"
    )
    entries += [fabricate(root, "simclr", "self_supervised", SKILL, **SMALL)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trivium.report.sections.SOUND_BUDGET", size)
        return assemble(entries, commit="abc")


@pytest.fixture(scope="module")
def section(report):
    return next(section for section in report.sections if section.dataset == "tones")


def content(clip):
    return base64.b64decode(clip.uri.removeprefix("data:audio/mpeg;base64,"))


def test_a_playlist_is_of_the_first_seed_and_begins_with_the_input(section):
    assert [one[0].run.facts.objective for one in section.playlists] == ["vae", "mae"]
    for playlist in section.playlists:
        assert playlist[0].run.facts.seed == 0
        names = [track.name for track in playlist]
        assert names == ["input", "reconstruction", "traversal-1", "neighbours"]
        steps = [[clip.step for clip in track.frames] for track in playlist]
        assert steps == [[400], [0, 400], [0, 400], [0, 400]]  # the input is the same at both


def test_a_clip_is_the_run_folders_file(section):
    track = section.playlists[0][1]
    for clip, sound in zip(track.frames, track.run.sounds[4:6], strict=True):
        assert (sound.name, sound.step) == (track.name, clip.step)
        assert content(clip) == sound.path.read_bytes()
        wave, rate = soundfile.read(io.BytesIO(content(clip)))
        assert (len(wave), rate) == (4000, 8000)


def test_a_tight_budget_keeps_the_last_steps_and_first_tracks(section):
    whole = playlists(section.runs, budget=SOUND_BUDGET)
    assert whole == section.playlists
    inputs = sum(len(content(one[0].frames[-1])) for one in whole)
    short = playlists(section.runs, budget=inputs)
    assert [[track.name for track in one] for one in short] == [["input"], ["input"]]
    last = sum(len(content(track.frames[-1])) for one in whole for track in one)
    only_last = playlists(section.runs, budget=last)
    assert all([clip.step for clip in track.frames] == [400] for one in only_last for track in one)
    assert sum(map(len, only_last)) == 8
    assert playlists(section.runs, budget=0) == ()
    for budget in range(0, SOUND_BUDGET // 20, 2000):
        heard = [clip for one in playlists(section.runs, budget=budget)
                 for track in one for clip in track.frames]  # fmt: skip
        assert sum(len(content(clip)) for clip in heard) <= budget


def test_sections_without_audio_take_no_share_of_the_budget(report):
    heard = {section.dataset: section.playlists for section in report.sections}
    assert heard["shapes"] == ()
    assert [len(one) for one in heard["tones"]] == [4, 4]


def test_the_page_plays_them_and_says_what_they_are(report):
    page = pages(report)["tones.html"]
    assert "Sounds from training" in page
    assert "Spectrograms: time runs to the right" in page
    assert "media-src data:" in page
    players = re.findall(r'<audio controls preload="none" src="data:audio/mpeg;base64,[^"]+" '
                         r'aria-label="([^"]+)"></audio>', page)  # fmt: skip
    assert len(players) == 14
    assert players[:3] == [
        "input of VAE at step 400", "reconstruction of VAE at step 0",
        "reconstruction of VAE at step 400",
    ]  # fmt: skip
    assert "traversal 1 of MAE at step 400" in players
    assert "of audio, mean and deviation over time of each mel band" in pages(report)["index.html"]


def test_audio_without_sounds_says_so_and_images_say_nothing(report):
    images, silent = (section._replace(playlists=()) for section in report.sections)
    assert (
        "Sounds: no run folder held any."
        in pages(report._replace(sections=(silent,)))["tones.html"]
    )
    page = pages(report._replace(sections=(images,)))["shapes.html"]
    for words in ("Sounds", "Spectrograms", "<audio"):
        assert words not in page


WATCH = """<script>
addEventListener("load", () => {
  const root = document.documentElement.dataset;
  const [first, second] = document.querySelectorAll("audio");
  first.addEventListener("loadedmetadata", () => { root.seconds = first.duration; });
  first.preload = "metadata";
  first.load();
  first.pause = () => { root.paused = "first"; };
  second.pause = () => { root.paused = "second"; };
  second.dispatchEvent(new Event("play"));
  first.focus();
  root.focused = document.activeElement === first;
  root.overflow = [...document.querySelectorAll(".playlist")].some(
    (list) => list.scrollWidth > list.clientWidth);
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_in_a_browser_sounds_are_read_and_one_plays_at_a_time(report, section, tmp_path):
    shown = report._replace(sections=(section._replace(drawn={}, maps=(), confusion=None),))
    for name, text in pages(shown).items():
        (tmp_path / name).write_text(text.replace("</body>", WATCH))
    path = tmp_path / "tones.html"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--mute-audio",
        "--virtual-time-budget=20000",
        "--window-size=500,900", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, re.findall(r".*CONSOLE.*", done.stderr)
    root = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", done.stdout)[0]))
    assert float(root["seconds"]) == pytest.approx(0.5, abs=0.1)
    assert (root["paused"], root["focused"], root["overflow"]) == ("first", "true", "false")
