"""Fine-tune a pretrained encoder: python pipelines/finetune.py checkpoint=DIR data=NAME."""

import hydra
from omegaconf import DictConfig

from trivium.stages.entry import run, start


@hydra.main(version_base="1.3", config_path="../conf", config_name="finetune")
def main(config: DictConfig) -> None:
    run("finetune", config)


if __name__ == "__main__":
    start(main)
