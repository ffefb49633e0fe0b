"""Compare the cells of a grid, or tracked runs: python pipelines/compare.py grid=NAME."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(config: DictConfig) -> None:
    run("compare", config)


if __name__ == "__main__":
    start(main)
