"""Fetch a dataset and write its store: python pipelines/prepare.py data=NAME."""

import hydra
from omegaconf import DictConfig

from _house import clear_errors
from trivium.config import plain, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="prepare")
@clear_errors
def main(config: DictConfig) -> None:
    from pathlib import Path

    from trivium.data.catalogue import prepare

    values = plain(config)
    prepare(
        values["data"], Path(values["stores"]) / values["data"]["name"], force=values["overwrite"]
    )


if __name__ == "__main__":
    main()
