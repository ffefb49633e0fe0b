"""Choose settings on validation: python pipelines/tune.py objective=PARADIGM/METHOD."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="tune")
def main(config: DictConfig) -> None:
    run("tune", config)


if __name__ == "__main__":
    start(main)
