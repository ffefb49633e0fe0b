"""Publish what a report found: python pipelines/publish.py version=0.1."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="publish")
def main(config: DictConfig) -> None:
    run("publish", config)


if __name__ == "__main__":
    start(main)
