"""Run a few published cells again and compare them with their records."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.compose import composed
from trivium.config import Config
from trivium.identity import ENVIRONMENT, RAW

if TYPE_CHECKING:
    import pandas as pd

    from trivium.results.files import Results
    from trivium.results.verify import Chosen, Verdict

TAIL = 5
"""Lines of a failed stage's output that are shown."""


def main(values: Config) -> None:
    """Verify some published runs; a deviation ends with an error.

    Raises:
        RuntimeError: A published record was not confirmed.
    """
    from trivium.results.files import read_results
    from trivium.results.verify import choose

    results = read_results(Path(values["results"]) / str(values["version"]))
    chosen = choose(results, int(values["cells"]), int(values["seed"]))
    verdicts = []
    for number, one in enumerate(chosen, 1):
        print(f"{number}/{len(chosen)} {one.name} ({one.part})", flush=True)
        verdicts.append(verified(results, one, made_again))
        print(f"  {verdicts[-1].word}: {verdicts[-1].detail}", flush=True)
    summary(verdicts, str(values["version"]))


def summary(verdicts: "Sequence[Verdict]", version: str) -> None:
    """Print what was found.

    Raises:
        RuntimeError: A published record was not confirmed.
    """
    if changed := [one.name for one in verdicts if one.word == "changed"]:
        print(f"changed since {version}: {', '.join(changed)}")
    if failed := [one.name for one in verdicts if one.is_failure]:
        raise RuntimeError(f"not as published in {version}: {', '.join(failed)}")
    print(f"{len(verdicts) - len(changed)} of {len(verdicts)} runs are as published in {version}")


def verified(
    results: "Results",
    chosen: "Chosen",
    again: "Callable[[Chosen, Path, Mapping[str, Any]], None]",
) -> "Verdict":
    """One run against its published record; `again` makes it below a folder of its own."""
    from trivium.results.verify import Verdict, compared, differences, rerun

    pretrain, probe = (chosen.overrides(stage) for stage in ("pretrain", "probe"))
    record = chosen.rows.iloc[0].to_dict()
    environment = results.parts[chosen.part]
    try:
        today = rerun(composed, pretrain, probe)
        if not today.data:
            data = [word for word in probe if word.startswith(("data=", "data.", "stores="))]
            run_stage("prepare", data, {})
            today = rerun(composed, pretrain, probe)
        if changed := today.changed(record):
            return Verdict(chosen.name, "changed", f"another {' and '.join(changed)}")
        with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
            again(chosen, Path(scratch), environment)
            records, now = read_again(Path(scratch))
    except (RuntimeError, ValueError, OSError) as error:
        return Verdict(chosen.name, "failed", str(error))
    return compared(results, chosen, records, differences(environment, now))


def made_again(chosen: "Chosen", scratch: Path, environment: Mapping[str, Any]) -> None:
    """Pretrain and probe in an empty folder, tracked there as well, with the record's threads."""
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{scratch / 'mlflow.db'}"}
    if threads := environment.get("num_threads"):
        own["OMP_NUM_THREADS"] = str(threads)
    pretrain, checkpoint = chosen.overrides("pretrain"), RAW
    if pretrain:
        checkpoint = str(scratch / "run")
        run_stage("pretrain", [*pretrain, f"run_dir={checkpoint}"], own)
    places = [f"probe_dir={scratch / 'probe'}", f"features={scratch / 'features'}"]
    run_stage("probe", [f"checkpoint={checkpoint}", *chosen.overrides("probe"), *places], own)


def run_stage(stage: str, overrides: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run an entry point in a process of its own.

    Raises:
        RuntimeError: It failed; the message has the end of what it wrote.
    """
    command = [sys.executable, str(Path(sys.argv[0]).parent / f"{stage}.py"), *overrides]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).splitlines()[-TAIL:])
        raise RuntimeError(f"{stage} failed: {said}")


def read_again(folder: Path) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """The records under `folder/probe` with what was probed, and the environment that made them.

    Raises:
        OSError: There is no evaluation, or it says no environment.
    """
    import pandas as pd

    from trivium.results.verify import NUMBER

    rows = []
    for path in sorted((folder / "probe").rglob("probe.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        rows += [{**document["facts"], **record} for record in document["records"]]
    if not rows:
        raise FileNotFoundError("the probe wrote no records")
    made = folder / ("run" if (folder / "run").is_dir() else "probe") / ENVIRONMENT
    return pd.DataFrame(rows)[[*NUMBER, "value"]], json.loads(made.read_text(encoding="utf-8"))
