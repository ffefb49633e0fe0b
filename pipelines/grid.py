"""Write the cells of the grid that GRID names (a grid, perhaps overrides of it) for DVC."""

import os
import shlex
import sys

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start

WORDS = shlex.split(os.environ.get("GRID") or "default")
WORDS[0] = f"grid={WORDS[0]}"


@hydra.main(version_base="1.3", config_path="../conf", config_name="grid")
def main(config: DictConfig) -> None:
    config.words = WORDS
    run("grid", config)


if __name__ == "__main__":
    sys.argv += WORDS
    start(main)
