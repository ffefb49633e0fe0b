"""Write docs/tuning.md from the studies that `pipelines/tune.py` left in outputs/sweeps.

A study that is not there keeps the table that it has.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "tuning.md"
KINDS = ("text", "audio", "image+text")
"""What else than images objectives were tuned on."""
HEADER = """# Tuning

Every objective had the same tuning budget: {num_trials} trials of what its yaml lists under
`search`, {flops:.1e} training FLOPs per trial and dataset, one pretraining seed ({seed}, which no
result uses). The first trial has the settings that the yaml had before; the next three are random,
the others follow Optuna's TPE. A trial's score is the mean over the modality's datasets of the
linear probe's accuracy on *validation* items; the test split plays no part; 0 is a run that a
sentinel stopped because it had collapsed. The settings of the best trial, rounded, are the defaults
in `conf/objective/`.

To repeat one: `python pipelines/tune.py objective=PARADIGM/METHOD` (texts: `data=wordnet`,
sounds: `data=notes`, images with texts: `data=emoji_pairs sweep.datasets=[emoji_pairs]`, where the
accuracy is that of the fused features). CLIP and SigLIP, whose purpose is retrieval, were tuned
by hand: [tuning_retrieval.md](tuning_retrieval.md). The learning rate is searched over the
same range everywhere. One seed and some hundred steps per trial make differences below about one
point noise: what a table ranks is not a finding about an objective's settings.
"""


def main() -> None:
    sweep = yaml.safe_load((ROOT / "conf" / "sweep" / "default.yaml").read_text())
    kept = dict(re.findall(r"^## (.+)\n\n((?:\|.*\n)+)", TARGET.read_text(), re.MULTILINE))
    tables = {}
    for path in sorted((ROOT / "conf" / "objective").glob("*/*.yaml")):
        title = f"{path.parent.name}/{path.stem}"
        studies = {title: path.stem}
        studies |= {f"{title} on {kind}": f"{path.stem}-{kind}" for kind in KINDS}
        for name, study in studies.items():
            table = ROOT / sweep["storage"] / f"{study}.md"
            if table.is_file():
                tables[name] = table.read_text().rstrip("\n") + "\n"
            elif name in kept:
                tables[name] = kept[name]
    if not tables:
        sys.exit(f"there is no study in {sweep['storage']}: run pipelines/tune.py first")
    parts = [f"## {name}\n\n{table}" for name, table in tables.items()]
    TARGET.write_text("\n".join([HEADER.format(**sweep), *parts]))


if __name__ == "__main__":
    main()
