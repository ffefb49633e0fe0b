"""Take the studies that `pipelines/tune.py` left over into docs/results/tuning.

A study that is not there keeps the table that it has. `python docs/results.py` then writes
docs/tuning.md.
"""

import sys
from pathlib import Path

import yaml

from trivium.results.studies import take
from trivium.tracking.run import commit

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    settings = yaml.safe_load((ROOT / "conf" / "tune" / "default.yaml").read_text())
    paths = sorted((ROOT / "conf" / "objective").glob("*/*.yaml"))
    paradigms = {path.stem: path.parent.name for path in paths}
    folder = ROOT / settings["storage"]
    taken = take(folder, ROOT / "docs" / "results" / "tuning", paradigms, commit=commit())
    if not taken:
        sys.exit(f"there is no study in {settings['storage']}: run pipelines/tune.py first")
    print(f"Took over {', '.join(taken)}; now: python docs/results.py")


if __name__ == "__main__":
    main()
