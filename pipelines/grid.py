"""Write the cells of the grid that GRID names (a grid, perhaps overrides of it) for DVC."""

import os
import shlex
import sys

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="grid")
def main(config: DictConfig) -> None:
    run("grid", config)


if __name__ == "__main__":
    name, *more = shlex.split(os.environ.get("GRID") or "default")
    words = [f"grid={name}", *more]
    sys.argv += [*words, f"words='{shlex.join(words)}'"]
    start(main)
