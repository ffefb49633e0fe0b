"""Pretrain one encoder: python pipelines/pretrain.py data=NAME objective=PARADIGM/METHOD seed=N."""

from typing import cast

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="pretrain")
def main(config: DictConfig) -> float | None:
    return cast("float | None", run("pretrain", config))


if __name__ == "__main__":
    start(main)
