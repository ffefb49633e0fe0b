"""A multirun without any training, to see what launchers do with its jobs."""

import os
import signal
import sys
import time
from pathlib import Path

import hydra

from trivium.stages import multirun, stopping


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def main(config):
    for name in ("started", "done"):
        Path(name).mkdir(exist_ok=True)
    Path(f"started/{config.number}-{os.getpid()}").touch()
    if config.number == config.raises:
        raise ValueError("as asked")
    if config.number == config.killed:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(config.seconds)
    Path(f"done/{config.number}").touch()


if __name__ == "__main__":
    stopping.install()
    main()
    sys.exit(1 if multirun.failures else 0)
