"""Run some published cells again and compare: python pipelines/verify.py version=0.1 cells=3."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="verify")
def main(config: DictConfig) -> None:
    run("verify", config)


if __name__ == "__main__":
    start(main)
