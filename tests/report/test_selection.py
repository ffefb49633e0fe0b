"""Which rows the runs of a sweep become."""

from pathlib import Path

from trivium.report.provenance import differing, selected
from trivium.tracking.query import Tracked

TAGS = {"dataset": "emoji", "modality": "image", "paradigm": "self_supervised", "encoder": "vit"}


def run(number, *, objective="simclr", seed=0, probes=1, **params):
    tags = {**TAGS, "objective": objective, "seed": str(seed)}
    settings = {"seed": str(seed), "run_dir": f"runs/{number}", "grid.name": str(number)}
    settings |= {key.replace("__", "."): str(value) for key, value in params.items()}
    folders = tuple(Path(f"{number}/probe/{index}") for index in range(probes))
    return Tracked(str(number), "a run", tags, settings, folders, Path(f"{number}/run"))


def test_seeds_of_one_setting_are_one_row():
    found = selected([run(1, seed=0), run(2, seed=1)])
    assert [(one.cell, one.seed, one.variant) for one in found] == [
        ("emoji-simclr", 0, ""),
        ("emoji-simclr", 1, ""),
    ]
    assert found[1].run_id == "2"
    assert found[1].run_folder == Path("2/run")


def test_a_setting_that_was_swept_names_the_row():
    runs = [
        run(number, seed=seed, objective__temperature=temperature, adamw__lr=0.1)
        for number, (seed, temperature) in enumerate([(0, 0.1), (0, 0.2), (1, 0.1), (1, 0.2)])
    ]
    assert differing(runs) == ["objective.temperature"]
    variants = [(one.seed, one.variant) for one in selected(runs)]
    assert variants == [
        (0, "temperature=0.1"),
        (0, "temperature=0.2"),
        (1, "temperature=0.1"),
        (1, "temperature=0.2"),
    ]


def test_settings_of_one_name_keep_their_groups():
    runs = [run(1, encoder__width=8, head__width=2), run(2, encoder__width=9, head__width=3)]
    variants = [one.variant for one in selected(runs)]
    assert variants == ["encoder.width=8, head.width=2", "encoder.width=9, head.width=3"]


def test_a_setting_that_one_run_lacks_is_a_difference():
    variants = [one.variant for one in selected([run(1), run(2, mixup=0.4)])]
    assert variants == ["mixup=-", "mixup=0.4"]


def test_objectives_are_not_compared_in_their_settings():
    found = selected([run(1, lr=0.1), run(2, objective="mae", lr=0.2)])
    assert [(one.cell, one.variant) for one in found] == [("emoji-simclr", ""), ("emoji-mae", "")]


def test_of_equal_runs_the_newest_counts():
    (found,) = selected([run(1, lr=0.1), run(2, lr=0.1)])
    assert found.run_id == "2"


def test_every_evaluation_of_a_run_is_an_entry():
    found = selected([run(1, probes=3)])
    assert [one.probe_folder.name for one in found] == ["0", "1", "2"]
