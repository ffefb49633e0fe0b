"""The page of a ladder from fabricated folders."""

import json
import re

import pytest

from trivium.report.scaling_page import ticks, write_ladder

from .fabricated import fabricate

WAYS = {"simclr": ("self_supervised", 0.0), "vae": ("unsupervised", 0.3)}
SIZES = {"small": 1, "middle": 4, "large": 16, "huge": 64}


def entry(root, objective, rung, size, seed, *, held_out=True, items=1000):
    paradigm, worse = WAYS[objective]
    skill = dict.fromkeys((0.01, 0.1, 1.0), 0.2 * size**0.5 / 2 - worse)
    found = fabricate(root / rung, objective, paradigm, skill, seed=seed)
    path = found.run_folder / "metrics.json"
    metrics = json.loads(path.read_text()) | {
        "num_parameters": 1000 * size, "samples": 512, "items": items, "flops": 10**9 * size,
    }  # fmt: skip
    if held_out:
        metrics["held_out"] = 3.0 * size**-0.1 + 0.01 * seed
    path.write_text(json.dumps(metrics))
    return found._replace(variant=rung)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("ladder")
    entries = [
        entry(root, objective, rung, size, seed)
        for rung, size in SIZES.items()
        for objective in WAYS
        for seed in (0, 1)
    ]
    write_ladder(entries, root / "report", commit="abc1234")
    return root / "report"


def test_the_page_says_what_more_buys_and_asks_nothing_of_any_network(written):
    html = (written / "index.html").read_text()
    assert "What does more of it buy?" in html
    assert "With ten times the parameters of the encoder" in html
    assert "<li>SimCLR: " in html
    assert "abc1234" in html
    body = re.sub(r"(?s)<script.*?</script>", "", html)
    assert not re.search(r"(src|href)=[\"']https?://", body)
    figures = json.loads(re.search(r'(?s)id="figures">(.*?)</script>', html)[1])
    assert set(figures) == {"shapes-num_parameters-errors", "shapes-num_parameters-losses"}
    for name, figure in figures.items():
        assert f'data-figure="{name}"' in html
        assert {axis["type"] for key, axis in figure["layout"].items() if "axis" in key} == {"log"}


@pytest.mark.parametrize(
    ("bounds", "values"),
    [((20, 31), [20, 25, 30]), ((0.2, 0.52), [0.2, 0.3, 0.4, 0.5]), ((2, 90), [2, 5, 10, 20, 50])],
)
def test_ticks_are_round_and_inside(bounds, values):
    assert set(values) <= set(ticks(*bounds))
    assert len(ticks(*bounds)) < 13


def test_the_json_holds_every_fit(written):
    found = json.loads((written / "scaling.json").read_text())
    keys = {(one["objective"], one["measure"]) for one in found["fits"]}
    measures = ("test error, 10 % of the labels", "test error, 100 % of the labels")
    assert keys == {(name, m) for name in WAYS for m in (*measures, "validation loss")}
    for one in found["fits"]:
        assert [point["rung"] for point in one["points"]] == list(SIZES)
        assert [point["x"] for point in one["points"]] == [1000.0 * s for s in SIZES.values()]
        if one["fraction"] is None:
            assert one["slope"]["mean"] == pytest.approx(0.1, abs=0.002)
            assert one["slope"]["low"] < 0.1 < one["slope"]["high"]
    assert len(found["contests"]) == 2
    assert (
        "| test error, 100 % of the labels | SimCLR | 4 |" in (written / "scaling.md").read_text()
    )


def test_without_held_out_losses_only_errors_are_fitted(tmp_path):
    entries = [
        entry(tmp_path, "simclr", rung, size, 0, held_out=rung != "huge")
        for rung, size in SIZES.items()
    ]
    write_ladder(entries, tmp_path / "report", commit="c")
    found = json.loads((tmp_path / "report" / "scaling.json").read_text())
    assert len(found["fits"]) == 2
    assert found["contests"] == []


def test_too_few_rungs_are_one_clear_message(tmp_path):
    same = [entry(tmp_path, "simclr", "small", 1, seed) for seed in (0, 1)]
    with pytest.raises(ValueError, match="No two rungs differ in one quantity alone"):
        write_ladder(same, tmp_path / "report", commit="c")
    two = [*same, *(entry(tmp_path, "simclr", "large", 16, seed) for seed in (0, 1))]
    write_ladder(two, tmp_path / "report", commit="c")
    html = (tmp_path / "report" / "index.html").read_text()
    assert "SimCLR: 2 rungs: a line needs 3 or more, so nothing is fitted." in html


def test_a_run_that_does_not_say_its_size_is_one_clear_message(tmp_path):
    one = entry(tmp_path, "simclr", "small", 1, 0)
    path = one.run_folder / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["items"]
    path.write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="does not say its 'items': pretrain this cell again"):
        write_ladder([one], tmp_path / "report", commit="c")
