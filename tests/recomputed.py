"""Every number of a report's tables, once more: from what the probes predicted, with sklearn.

Nothing of the package takes part but the names that tables give to things. What predictions cannot
tell (calibration error, which needs probabilities; the modality gap and diagnostics, which need
features) is named in `UNKNOWN`, so that nothing else can be left out by mistake.
"""

import json
import re
from collections import defaultdict

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from trivium.report.tables import label, share

PLACE = ("dataset", "task", "modality")
WAY = ("paradigm", "objective", "encoder")
KEY = (*PLACE, *WAY, "probe", "fraction", "metric")
UNKNOWN = re.compile(r"ece|chance@.*|num_candidates|modality_gap")
RECALLS = (1, 5, 10)


def recomputed(folders):
    """Means over seeds and draws, by `KEY`, of all that the predictions in these folders tell."""
    values = defaultdict(list)
    for folder in folders:
        document = json.loads((folder / "probe.json").read_text())
        facts = document["facts"]
        with np.load(folder / "predictions.npz") as archive:
            arrays = dict(archive)
        labels, strata = arrays.pop("labels"), arrays.pop("strata", None)
        arrays.pop("groups", None)
        place = [facts[name] for name in (*PLACE, *WAY)]
        metrics = [record["metric"] for record in document["records"]]
        names = list(dict.fromkeys(m.partition("/")[2] for m in metrics if "/" in m))
        for name, predicted in arrays.items():
            probe, fraction, _ = name.rsplit("/", 2)
            found = measured(probe, predicted, labels, strata, names)
            for metric, value in found.items():
                values[*place, probe, float(fraction), metric].append(value)
    return {key: np.mean(found) for key, found in values.items()}


def measured(probe, predicted, labels, strata, names):
    """Metrics of one fitted probe; of retrieval, whose predictions are ranks, recalls."""
    if probe != "retrieval":
        f1 = f1_score(labels, predicted, average="macro")
        return {"accuracy": accuracy_score(labels, predicted), "macro_f1": f1}
    found = {f"recall@{k}": np.mean(predicted < k) for k in RECALLS}
    found["median_rank"] = np.median(predicted) + 1
    for number, name in zip(np.unique(strata) if names else (), names, strict=True):
        found |= {f"recall@{k}/{name}": np.mean(predicted[strata == number] < k) for k in RECALLS}
    return found


def check_cells(truth, cells):
    """Every test cell of `comparison.json` has the mean that the predictions give.

    Returns:
        How many were compared.
    """
    compared = 0
    for cell in cells:
        if cell["split"] != "test" or UNKNOWN.fullmatch(cell["metric"].partition("/")[0]):
            continue
        key = tuple(cell[name] for name in KEY)
        assert key in truth, f"nothing in the predictions gives {key}"
        assert abs(cell["mean"] - truth[key]) < 1e-5 * max(1, truth[key]), key
        compared += 1
    return compared


def check_text(truth, text):
    """Every number in the tables of `report.md` is what the predictions give, as it is printed.

    Returns:
        The keys of the numbers that were compared.
    """
    seen, place, heading = [], None, ""
    lines = iter(text.splitlines())
    for line in lines:
        if found := re.fullmatch(r"## (.+?): (.+) \((.+)\)", line):
            place = found.groups()
        elif line.startswith("### "):
            heading = line.removeprefix("### ")
        elif line.startswith("| paradigm | objective | seeds |"):
            heads = cells_of(line)[3:]
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                seen += check_row(truth, place, heading, heads, cells_of(row))
    return seen


def cells_of(line):
    return line.strip("|").replace("**", "").split(" | ")


def check_row(truth, place, heading, heads, cells):
    """The keys of the numbers of one row; of what predictions cannot tell there are none."""
    paradigm, name, _, *entries = (cell.strip() for cell in cells)
    known = {}
    for key in truth:
        objective, encoder = key[4], key[5]
        named = (label(objective), f"{label(objective)} · {encoder}")
        if key[:3] == place and key[3].replace("_", "-") == paradigm and name in named:
            known.setdefault(head_of(key, heading), []).append(key)
    found = []
    for head, entry in zip(heads, entries, strict=True):
        if name == "chance" or entry == "-" or is_unknown(heading, head.strip()):
            continue
        (key,) = known[head.strip()]
        printed = float(entry.split(" ")[0])
        if key[-1] == "median_rank":
            assert abs(printed - truth[key]) <= 1e-3 * truth[key], key
        else:
            assert abs(printed - 100 * truth[key]) < 0.0501, (key, printed, truth[key])
        found.append(key)
    return found


def is_unknown(heading, head):
    """Whether predictions cannot tell the numbers of a column."""
    of_features = heading == "what shows without labels?" or head == "modality gap"
    return of_features or heading.startswith("calibration error")


def head_of(key, heading):
    """The head of the column of a key, in the table under a heading."""
    probe, fraction, metric = key[6:]
    if probe == "retrieval":
        name, _, stratum = metric.partition("/")
        return f"{name}, {stratum}" if stratum else label(name)
    if heading == "does the ranking hang on the probe?":
        is_it = metric == "accuracy" and fraction == VARIED_AT
        return label(probe.partition("/")[2] or probe) if is_it else ""
    is_withheld = " without " in probe
    table = label(metric) + (" where a modality is withheld" if is_withheld else "")
    return f"{label(probe)} {share(probe, fraction)}" if table == heading else ""


VARIED_AT = 0.1
"""The share of labels that varied probes are fitted on."""
