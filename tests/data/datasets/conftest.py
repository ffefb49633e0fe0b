"""Stores by the configs of conf/data, out of files that lie at hand."""

import pytest

from trivium.data.prepare import prepare

from ..test_configs import FILES, load  # noqa: TID252 (tests are no package to import from)


@pytest.fixture
def yaml_config():
    """The config of conf/data of that name, as Hydra hands it over."""
    return lambda name: load(next(file for file in FILES if file.stem == name))


@pytest.fixture
def prepared(yaml_config, tmp_path_factory):
    """Prepare a text dataset by its yaml, but from a local path and with a small vocabulary."""
    folder = tmp_path_factory.mktemp("stores")

    def build(name, source, **change):
        config = yaml_config(name)
        facts = {"num_samples": None, "vocabulary": None}
        config["spec"] = config["spec"] | facts | change.pop("spec", {})
        config["tokenizer"] = config["tokenizer"] | {"vocabulary": 300}
        config["sources"] = [{"kind": "folder", "path": str(source)}]
        return prepare(config | change, folder / name)

    return build
