"""Every yaml composes; every choice of every group can be made, and its target exists."""

import functools
import json

import pytest
import torch
import yaml
from hydra.utils import get_class, get_method, instantiate
from omegaconf import OmegaConf

from trivium.compose import grid_values, suitable
from trivium.config import pretraining_values, prune, recipe_names, without_numerics
from trivium.data.config import sound_settings
from trivium.grid import Grid
from trivium.identity import targets
from trivium.objectives.compatibility import check
from trivium.training.optimizer import decay_groups
from trivium.types import DataSpec
from yamls import CONF, begin, composed

GROUPS = ("budget", "data", "encoder", "launcher", "monitor", "optimizer", "schedule", "trainer")
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
GRIDS = sorted(path.stem for path in (CONF / "grid").glob("*.yaml"))
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


def needs_of(objective):
    """What an objective needs, by its yaml."""
    config = OmegaConf.load(CONF / "objective" / f"{objective}.yaml")
    return get_class(config.objective._target_).needs


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
    assert not set(values) & {"search", "tune"}


def test_all_groups_were_seen():
    seen = {path.parent.relative_to(CONF).parts[0] for path in CONF.rglob("*/*.yaml")}
    others = {"objective", "views", "probe", "label_free", "sensitivity"}
    others |= {"tracking", "grid", "experiment", "tune", "hydra"}
    assert seen == {*GROUPS, *others}
    assert len(OBJECTIVES) >= 7
    assert len({name.split("/")[1] for name in OBJECTIVES}) == len(OBJECTIVES)


@pytest.mark.parametrize(
    "name", ["prepare", "probe", "finetune", "compare", "tune", "grid", "prune"]
)
def test_the_other_pipelines_compose(name):
    values = composed(name, ["checkpoint=x"] if name in ("probe", "finetune") else [])
    assert "hydra" not in values
    assert values


def test_tuning_reads_the_objective_s_own_search():
    values = composed("tune", ["objective=self_supervised/simclr"])
    assert "adamw.lr" in values["search"]
    assert values["tune"]["grid"] in GRIDS


EXPERIMENTS = sorted((CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_composes_and_has_its_header(path):
    prune(composed("pretrain", [f"experiment={path.stem}"]))
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("Claim:", "Command:", "Runtime:", "Expected:"):
        assert any(word in line for line in header), f"{path.name} has no {word}"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_s_parts_can_be_built_and_fit(path):
    values = without_numerics(prune(composed("pretrain", [f"experiment={path.stem}"])))
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


KNOWN = {}


@functools.cache
def grid_of(name):
    """A named grid, and the composed pretraining of each of its cells."""
    with begin():
        grid = Grid(grid_values(name))
        grid.compositions = KNOWN.setdefault("all", grid.compositions)  # they share many cells
        return grid, {job.name: job for job in (grid.run(cell, 0) for cell in grid.cells)}


@pytest.mark.parametrize("name", sorted(set(GRIDS) - {"all"}))
def test_a_grid_is_well_formed(name):
    grid, jobs = grid_of(name)
    assert grid.name == name
    assert len(jobs) == len(grid.cells)  # all differ by name
    for job in jobs.values():
        pretraining_values(job.values)
    assert len({json.dumps(job.values) for job in jobs.values()}) == len(jobs)


def test_a_dataset_of_a_grid_has_its_controls():
    for name in ("default", "full"):
        entries = yaml.safe_load((CONF / "grid" / f"{name}.yaml").read_text())["grid"]["cells"]
        for entry in entries.values():
            assert "untrained" in entry["objectives"] or "part" in entry


def test_every_objective_finds_its_way_into_the_grid_of_everything():
    values = composed("compare", ["grid=all"])["grid"]
    assert values["cells"].keys() >= {"fashion_mnist", "wordnet", "notes", "emoji_pairs"}
    with begin():
        for modality, data in DATA.items():
            assert values["cells"][data]["objectives"] == "all"
            wanted = {one for one in OBJECTIVES if modality in needs_of(one).modalities}
            assert set(suitable(data, None)) == {one.split("/")[1] for one in wanted}


def test_a_scaling_grid_holds_every_objective_at_every_point():
    grid, jobs = grid_of("scaling")
    assert grid.report == "scaling"
    objectives = {cell.objective for cell in grid.cells}
    points = {cell.point for cell in grid.cells}
    assert len(grid.cells) == len(objectives) * len(points)
    assert {name.split("/")[0] for name in objectives} == {
        "supervised", "unsupervised", "self_supervised",
    }  # fmt: skip
    found = {cell.point: jobs[f"{cell.name}-0"].values for cell in grid.cells}
    sizes = {values["encoder"]["width"] for values in found.values()}
    shares = {values["data_fraction"] for values in found.values()}
    budgets = {values["budget"]["samples"] for values in found.values()}
    assert min(len(sizes), len(shares), len(budgets)) >= 3
    assert min(shares) * 54_000 >= found["middle"]["trainer"]["batch_size"]
    assert grid.raw_datasets() == []


def test_of_several_modalities_an_encoder_of_each_learns_alone_at_the_same_price():
    grid, jobs = grid_of("full")
    alone = [cell for cell in grid.cells if cell.part]
    assert alone
    for cell in alone:
        one = jobs[f"{cell.name}-0"].values
        together = jobs[f"{cell.data}-clip-0"].values
        assert one["part"] in together["data"]["modality"].split("+")
        assert one["encoder"] == together["encoder"][one["part"]]
        assert one["budget"] == together["budget"]
