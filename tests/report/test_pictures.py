"""Pictures stay within their budget, and the last step is never what is dropped."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from trivium.report.media import MAX_FRAMES, PICTURE_BUDGET, strips
from trivium.report.records import read_entries
from trivium.report.runs import read_runs

from .fabricated import fabricate

SKILL = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}


@pytest.fixture
def runs(tmp_path):
    entries = [fabricate(tmp_path, "mae", "self_supervised", SKILL, seed=s) for s in (0, 1)]
    return read_runs(read_entries(entries))


def test_one_strip_of_the_first_seed(runs):
    (strip,) = strips(runs, budget=PICTURE_BUDGET)
    assert (strip.name, strip.run.facts.seed) == ("reconstruction", 0)
    assert [frame.step for frame in strip.frames] == [0, 200, 400]
    kept = base64.b64decode(strip.frames[0].uri.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(kept)) as shown, Image.open(runs[0].pictures[0].path) as drawn:
        error = np.abs(np.asarray(shown, dtype=float) - np.asarray(drawn.convert("RGB"), float))
    assert error.mean() < 8


def test_a_tight_budget_keeps_the_last_step(runs):
    (whole,) = strips(runs, budget=PICTURE_BUDGET)
    size = len(base64.b64decode(whole.frames[-1].uri.partition(",")[2]))
    (strip,) = strips(runs, budget=size)
    assert [frame.step for frame in strip.frames] == [400]
    assert strips(runs, budget=0) == ()


def test_many_steps_are_thinned(runs):
    folder = runs[0].pictures[0].path.parent
    content = runs[0].pictures[0].path.read_bytes()
    for step in range(1, 60):
        (folder / f"embedding-step{step:06d}.png").write_bytes(content)
    again = read_runs_of(folder)
    strip = next(one for one in strips([again], budget=PICTURE_BUDGET) if one.name == "embedding")
    assert len(strip.frames) == MAX_FRAMES
    assert (strip.frames[0].step, strip.frames[-1].step) == (1, 59)


def read_runs_of(folder):
    probe = folder.parents[2] / "probes" / "shapes-mae-0"
    from trivium.report.records import Entry

    return read_runs(read_entries([Entry("shapes-mae", 0, probe, folder.parent)]))[0]
