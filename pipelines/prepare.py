"""Fetch a dataset and write its store: python pipelines/prepare.py data=NAME."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="prepare")
def main(config: DictConfig) -> None:
    run("prepare", config)


if __name__ == "__main__":
    start(main)
