"""Write docs/tuning.md from the studies that `pipelines/tune.py` left in outputs/sweeps."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
HEADER = """# Tuning

Every objective had the same tuning budget: {num_trials} trials of what its yaml lists under
`search`, {flops:.1e} training FLOPs per trial and dataset, one pretraining seed ({seed}, which no
result uses). The first trial has the settings that the yaml had before; the next three are random,
the others follow Optuna's TPE. A trial's score is the mean over both datasets of the linear probe's
accuracy on *validation* items; the test split plays no part. The settings of the best trial,
rounded, are the defaults in `conf/objective/`.

To repeat one: `python pipelines/tune.py objective=PARADIGM/METHOD`. The learning rate is searched
over the same range everywhere. One seed and some hundred steps per trial make differences below
about one point noise: what a table ranks is not a finding about an objective's settings.
"""


def main() -> None:
    sweep = yaml.safe_load((ROOT / "conf" / "sweep" / "default.yaml").read_text())
    parts = [HEADER.format(**sweep)]
    for path in sorted((ROOT / "conf" / "objective").glob("*/*.yaml")):
        table = ROOT / sweep["storage"] / f"{path.stem}.md"
        if table.is_file():
            parts.append(f"## {path.parent.name}/{path.stem}\n\n{table.read_text()}")
    if len(parts) == 1:
        sys.exit(f"there is no study in {sweep['storage']}: run pipelines/tune.py first")
    (ROOT / "docs" / "tuning.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
