"""Every yaml composes; every choice of every group can be made, and its target exists."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra.utils import get_class, get_method, instantiate
from omegaconf import OmegaConf

from trivium.config import prune, recipe_names
from trivium.data.config import sound_settings
from trivium.objectives.contract import check
from trivium.pretraining.optimisers import decay_groups
from trivium.types import DataSpec

sys.path.insert(0, str(Path("pipelines").resolve()))

import repro
from _compose import (
    cell_choices,
    climbed,
    compared,
    composed,
    kind,
    needs_of,
    objectives,
    read_grid,
    rest,
)
from repro import with_cells

CONF = Path("conf").resolve()
GROUPS = ("budget", "data", "encoder", "launcher", "monitor", "optimizer", "schedule", "trainer")
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
OBJECTIVES = [
    str(path.relative_to(CONF / "objective").with_suffix(""))
    for path in sorted((CONF / "objective").rglob("*.yaml"))
]
DATA = {"image": "fashion_mnist", "text": "wordnet", "audio": "notes", "several": "emoji_pairs"}
OPEN = {
    "textfolder": ["data.path=x"],
    "texttable": ["data.path=x"],
    "corpus": ["data.path=x"],
    "hub_text": ["data.id=x", "data.path=x"],
    "imagefolder": ["data.path=x"],
    "hub": ["data.id=x", "data.path=x"],
    "audiofolder": ["data.path=x"],
    "hub_audio": ["data.id=x", "data.path=x"],
    "mediatable": ["data.path=x", "data.media={image: image, text: text}"],
}


def targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_its_target_exists(group, choice):
    overrides = [f"{group}={choice}", *OPEN.get(choice, [])]
    if group == "data" and "+" in composed("prepare", overrides)["data"]["modality"]:
        overrides += ["encoder=towers_nano", "objective=self_supervised/clip"]
    values = composed("pretrain", overrides)
    found = list(targets(values))
    assert len(found) > 3
    for target in found:
        assert callable(get_method(target))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_of_its_folders_paradigm(objective):
    paradigm, method = objective.split("/")
    modality = needs_of(objective).modalities[0]
    data = DATA[modality]
    values = prune(composed("pretrain", [f"objective={objective}", f"data={data}"]))
    objective_class = get_class(values["objective"]["_target_"])
    assert objective_class.paradigm == paradigm
    assert values["method"] == method
    assert values["cell"] == f"{data}-{method}"
    for part, recipe in recipe_names(values).items():
        num_views = len(values["views"][part][recipe]["views"])
        needs = objective_class.needs
        assert num_views == needs.num_views or needs.more_views
    assert not set(values) & {"search", "sweep"}


def test_all_groups_were_seen():
    seen = {path.parent.relative_to(CONF).parts[0] for path in CONF.rglob("*/*.yaml")}
    others = {"objective", "views", "probe", "label_free", "sensitivity"}
    others |= {"tracking", "pipeline", "experiment", "sweep"}
    assert seen == {*GROUPS, *others}
    assert len(OBJECTIVES) >= 7
    assert len({name.split("/")[1] for name in OBJECTIVES}) == len(OBJECTIVES)


@pytest.mark.parametrize("name", ["prepare", "probe", "compare", "tune"])
def test_the_other_pipelines_compose(name):
    values = composed(name, ["checkpoint=x"] if name == "probe" else [])
    assert "hydra" not in values
    assert len(values) > 2


def test_tuning_reads_the_objective_s_own_search():
    values = composed("tune", ["objective=self_supervised/simclr"])
    assert "adamw.lr" in values["search"]
    assert values["sweep"]["grid"] in {path.stem for path in (CONF / "pipeline").glob("*.yaml")}


EXPERIMENTS = sorted((CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_composes_and_has_its_header(path):
    prune(composed("pretrain", [f"experiment={path.stem}"]))
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("Claim:", "Command:", "Runtime:", "Expected:"):
        assert any(word in line for line in header), f"{path.name} has no {word}"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_s_parts_can_be_built_and_fit(path):
    values = prune(composed("pretrain", [f"experiment={path.stem}"]))
    name, modality, facts = (values["data"][key] for key in ("name", "modality", "spec"))
    half = () if modality == "text" else (0.5,) * facts["shape"][0]
    vocabulary = 100 if modality == "text" else 0
    sound = tuple(sound_settings(values["data"])[0]) if modality == "audio" else ()
    shape = tuple(facts["shape"])
    data = DataSpec(name, modality, shape, 10, 100, half, half, vocabulary, sound)
    views = instantiate(values["views"][modality][values["objective_views"]])
    with torch.device("meta"):  # shapes alone: a ViT-B costs nothing
        encoder = instantiate(values["encoder"], data=data)
        objective = instantiate(values["objective"], encoder=encoder, data=data)
    given = {"num_views": views.num_views, "column": views.gives}
    check(objective.needs, values["method"], encoder, data, **given)
    weight_decay = values["optimizer"].pop("weight_decay")
    instantiate(values["optimizer"])(decay_groups(objective, weight_decay))
    instantiate(values["schedule"])


@pytest.mark.parametrize("name", ["default", "all", "scaling"])
def test_a_grid_is_well_formed(name):
    grid = read_grid(name)
    for cell in grid["cells"]:
        assert len(cell_choices(cell, grid)) > 2
    everything = compared(grid)
    assert len(set(everything["cells"])) == len(everything["cells"])
    for dataset in everything["datasets"]:
        assert f"{dataset}-untrained" in everything["cells"]


def test_every_objective_finds_its_way_into_the_grid_of_everything():
    default = read_grid("default")
    wanted = {
        f"{dataset}-{objective.split('/')[1]}"
        for dataset in default["datasets"]
        for objective in OBJECTIVES
        if kind(dataset) in needs_of(objective).modalities
    }
    alone = {cell for cell in default["cells"] if "." in cell}  # one of several modalities
    assert {*default["cells"], *rest(default)} == wanted | alone
    assert set(read_grid("all")["cells"]) <= wanted - set(default["cells"])


def test_the_grid_of_everything_is_rewritten_with_other_cells_and_nothing_else():
    text = (CONF / "pipeline" / "all.yaml").read_text()
    before, after = (OmegaConf.create(one) for one in (text, with_cells(text, ["a-b", "a-c"])))
    assert list(after.cells) == ["a-b", "a-c"]
    del before["cells"], after["cells"]
    assert before == after
    assert with_cells(text, read_grid("all")["cells"]) == text


def test_a_ladder_holds_every_way_on_every_rung():
    grid = read_grid("scaling")
    text = (CONF / "pipeline" / "scaling.yaml").read_text()
    assert with_cells(text, climbed(grid)) == text
    assert len(grid["datasets"]) == 1  # as its dvc.yaml has it
    assert compared(grid)["folders"] == [grid["folder"]]
    assert compared(grid)["rungs"] == list(grid["rungs"])
    first = grid["ways"][0]
    found = {
        rung: prune(composed("pretrain", cell_choices(f"{first}-{rung}", grid)))
        for rung in grid["rungs"]
    }
    assert len({json.dumps(values) for values in found.values()}) == len(found)  # all differ
    sizes = {values["encoder"]["width"] for values in found.values()}
    shares = {values["data_fraction"] for values in found.values()}
    budgets = {values["budget"]["samples"] for values in found.values()}
    assert min(len(sizes), len(shares), len(budgets)) >= 3
    assert min(shares) * 54_000 >= found["middle"]["trainer"]["batch_size"]
    known = objectives()
    paradigms = {known[way.partition("-")[2]].split("/")[0] for way in grid["ways"]}
    assert paradigms == {"supervised", "unsupervised", "self_supervised"}


def test_a_grid_that_is_no_ladder_compares_as_before():
    assert compared(read_grid("all"))["rungs"] == []
    assert compared(read_grid("all"))["folders"] == ["outputs", "outputs/all"]


@pytest.mark.parametrize(
    ("grid", "cell"),
    [("scaling", "fashion_mnist-simclr-width_7"), ("scaling", "fashion_mnist-simclr"),
     ("default", "fashion_mnist-simclr-middle")],
)  # fmt: skip
def test_an_unknown_rung_is_one_clear_error(grid, cell):
    with pytest.raises(ValueError, match="names the rung"):
        cell_choices(cell, read_grid(grid))


def test_the_stages_of_a_ladder_are_those_of_every_other_grid():
    found = {
        name: yaml.safe_load((CONF.parent / "pipelines" / name / "dvc.yaml").read_text())["stages"]
        for name in ("all", "scaling")
    }
    renamed = json.loads(json.dumps(found["all"]).replace("outputs/all", "outputs/scaling"))
    renamed["resolve"]["cmd"] = renamed["resolve"]["cmd"].replace("py all", "py scaling")
    renamed["bind"]["deps"][1] = "outputs/stores/${datasets[0]}"
    for folder in ("outputs/probes", "outputs/finetuned"):  # a ladder has no base to compare with
        renamed["compare"]["deps"].remove(folder)
    assert renamed == found["scaling"]


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [("DEFAULT", ["a"]), ("ALL", ["a", "all"]), ("SCALING", ["scaling"])],
)
def test_only_stages_of_the_pipeline_and_its_base_are_done_side_by_side(
    pipeline, words, monkeypatch
):
    stages = {"a": "probe@x", "all": f"{repro.ALL}:probe@x", "scaling": f"{repro.SCALING}:probe@x"}
    done = SimpleNamespace(returncode=0, stdout=json.dumps(dict.fromkeys(stages.values())))
    monkeypatch.setattr(repro, "dvc", lambda *_, **__: done)
    assert repro.changed(getattr(repro, pipeline)) == [stages[word] for word in words]


def test_of_several_modalities_an_encoder_of_each_learns_alone_at_the_same_price():
    grid = read_grid("default")
    for dataset in grid["datasets"]:
        cells = [cell for cell in grid["cells"] if cell.startswith(f"{dataset}.")]
        for cell in cells:
            alone, together = (
                composed("pretrain", cell_choices(name, grid)) for name in (cell, f"{dataset}-clip")
            )
            assert alone["part"] in together["data"]["modality"].split("+")
            assert alone["encoder"] == together["encoder"][alone["part"]]
            assert alone["budget"] == together["budget"]


def test_an_unknown_cell_is_one_clear_error():
    with pytest.raises(ValueError, match="'fashion_mnist-gan' is not DATASET-METHOD"):
        cell_choices("fashion_mnist-gan", read_grid("default"))
