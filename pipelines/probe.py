"""Probe a frozen encoder: python pipelines/probe.py checkpoint=DIR data=NAME."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="probe")
def main(config: DictConfig) -> None:
    run("probe", config)


if __name__ == "__main__":
    start(main)
