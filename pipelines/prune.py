"""List what no grid refers to, or remove it: python pipelines/prune.py remove=true."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="prune")
def main(config: DictConfig) -> None:
    run("prune", config)


if __name__ == "__main__":
    start(main)
