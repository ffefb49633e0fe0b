"""Every yaml composes; every choice of every group can be made, and its target exists."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf, open_dict

from trivium.config import plain, prune, register

CONF = Path("conf").resolve()
GROUPS = ("budget", "data", "encoder", "launcher", "monitor", "optimizer", "schedule", "trainer")
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
OBJECTIVES = [
    str(path.relative_to(CONF / "objective").with_suffix(""))
    for path in sorted((CONF / "objective").rglob("*.yaml"))
]
OPEN = {
    "imagefolder": ["data.path=x"],
    "hub": ["data.id=x", "data.path=x"],
}


def composed(name, overrides):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(name, overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        return config


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
    values = OmegaConf.to_container(composed("pretrain", overrides), resolve=True)
    found = list(targets(values))
    assert len(found) > 3
    for target in found:
        assert callable(get_method(target))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_of_its_folders_paradigm(objective):
    values = prune(plain(composed("pretrain", [f"objective={objective}"])))
    paradigm, method = objective.split("/")
    kind = get_class(values["objective"]["_target_"])
    assert kind.paradigm == paradigm
    assert values["method"] == method
    assert values["cell"] == f"fashion_mnist-{method}"
    recipe = values["views"]["image"][values["objective_views"]]
    assert len(recipe["views"]) == kind.needs.num_views


def test_all_groups_were_seen():
    seen = {path.parent.relative_to(CONF).parts[0] for path in CONF.rglob("*/*.yaml")}
    others = {"objective", "views", "probe", "tracking", "pipeline", "experiment"}
    assert seen == {*GROUPS, *others}
    assert len(OBJECTIVES) >= 7
    assert len({name.split("/")[1] for name in OBJECTIVES}) == len(OBJECTIVES)


@pytest.mark.parametrize("name", ["prepare", "probe", "compare"])
def test_the_other_pipelines_compose(name):
    assert isinstance(composed(name, []), DictConfig)


EXPERIMENTS = sorted((CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_composes_and_has_its_header(path):
    prune(plain(composed("pretrain", [f"experiment={path.stem}"])))
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("Claim:", "Command:", "Runtime:", "Expected:"):
        assert any(word in line for line in header), f"{path.name} has no {word}"


def test_the_grid_is_well_formed():
    grid = OmegaConf.load(CONF / "pipeline" / "default.yaml")
    methods = {name.split("/")[1] for name in OBJECTIVES}
    for cell in grid.cells:
        dataset, _, method = cell.partition("-")
        assert dataset in grid.datasets
        assert method in methods
    for dataset in grid.datasets:
        assert f"{dataset}-untrained" in grid.cells
