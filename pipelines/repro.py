"""`dvc repro` with as many cells at a time as there are cores: repro.py [all|scaling] [JOBS].

DVC runs one stage after another. Here the shared stages run first, the datasets side by side; then
those pretraining, probing and fine-tuning stages that DVC finds changed, several at once (each
computes on one core, so the results do not depend on how many run); then `dvc repro` for the rest,
which has the last word on what is up to date. On a machine with one accelerator give JOBS as 1.
`all` adds the grid of `pipelines/all/dvc.yaml`; `scaling` is the ladder of
`pipelines/scaling/dvc.yaml` alone.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

DEFAULT, ALL, SCALING = "dvc.yaml", "pipelines/all/dvc.yaml", "pipelines/scaling/dvc.yaml"
SHARED = {
    DEFAULT: ("prepare", "bind"),
    ALL: ("prepare", "bind", f"{ALL}:resolve", f"{ALL}:bind"),
    SCALING: (f"{SCALING}:resolve", f"{SCALING}:bind"),
}
OF = {DEFAULT: {DEFAULT}, ALL: {DEFAULT, ALL}, SCALING: {SCALING}}
"""Whose stages run side by side for each pipeline."""
Chain = tuple[str, ...]


def dvc(*words: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run DVC of this interpreter's environment."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *words]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE if capture else None)


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def changed(pipeline: str, *targets: str) -> list[str]:
    """The stages of this pipeline (and of its base) whose files are not as the lock says.

    Of `targets` alone where some are given.

    Not `dvc repro --dry`: it stops at the first stage whose input is yet to be made, as in a fresh
    clone that has a lock and no outputs.
    """
    done = dvc("status", "--json", *targets, capture=True)
    if done.returncode:
        sys.exit(done.returncode)
    names = json.loads(done.stdout or "{}")
    return [name for name in names if (name.rpartition(":")[0] or DEFAULT) in OF[pipeline]]


def chains(names: list[str], finetuned: list[str]) -> list[Chain]:
    """What may run side by side: a cell's pretraining, behind it its probe and fine-tuning.

    `finetuned` names the cells that have the latter.
    """
    trained = []
    for name in (one for one in names if stage(one) == "pretrain"):
        behind = ["probe", "finetune"] if cell(name) in finetuned else ["probe"]
        trained.append((name, *(name.replace("pretrain@", f"{one}@") for one in behind)))
    followed = {name for chain in trained for name in chain}
    kinds = ("probe", "control", "finetune")
    alone = [(name,) for name in names if stage(name) in kinds and name not in followed]
    # The raw inputs are wide and their probes long: they go first.
    return [*alone, *trained]


def name_cells(pipeline: str) -> None:
    """Write into a pipeline's grid the cells that follow from the rest of it.

    Of `all` those of all objectives that the default grid lacks, of a ladder every way on every
    rung.
    """
    from _compose import CONF, climbed, read_grid, rest

    name = Path(pipeline).parent.name
    path = CONF / "pipeline" / f"{name}.yaml"
    text = path.read_text()
    cells = rest(read_grid("default")) if pipeline == ALL else climbed(read_grid(name))
    wanted = with_cells(text, cells)
    if text != wanted:
        path.write_text(wanted)


def with_cells(text: str, cells: list[str]) -> str:
    """A grid's yaml with other cells, which are its last key."""
    head = text[: text.index("\ncells:")]
    return "\n".join([head, "cells:", *(f"  - {cell}" for cell in cells), ""])


def stage(name: str) -> str:
    """`probe` of `pipelines/all/dvc.yaml:probe@CELL-SEED`."""
    return name.rpartition(":")[2].partition("@")[0]


def cell(name: str) -> str:
    """`CELL` of `pipelines/all/dvc.yaml:probe@CELL-SEED`."""
    return name.rpartition("@")[2].rpartition("-")[0]


def prepare_all(jobs: int) -> None:
    """Compose the cells, and prepare several datasets at once."""
    if dvc("repro", "resolve").returncode:
        sys.exit(1)
    todo: list[Chain] = [(name,) for name in changed(DEFAULT, "prepare")]
    if todo:
        print(f"== {len(todo)} datasets to prepare, {jobs} at a time", flush=True)
        run_all(todo, jobs)


def run_all(todo: list[Chain], jobs: int) -> None:
    """Run chains, several at once, each one's stages in turn; a failure ends the program."""
    from _warm import reproduce, workers

    started = time.monotonic()
    with workers(jobs) as pool:
        waiting = {
            pool.submit(reproduce, "--quiet", "--single-item", *chain): chain for chain in todo
        }
        for number, done in enumerate(as_completed(waiting), 1):
            name = " and ".join(waiting[done])
            if done.exception() or not done.result():
                pool.shutdown(cancel_futures=True)
                sys.exit(f"error: {name} failed; {done.exception() or 'what is above says why'}")
            minutes = (time.monotonic() - started) / 60
            left = minutes / number * (len(todo) - number)
            print(
                f"== {number}/{len(todo)} {name} done; {minutes:.1f} min, about {left:.0f} left",
                flush=True,
            )


def main() -> None:
    words = sys.argv[1:]
    named = {"all": ALL, "scaling": SCALING}
    pipeline = next((named[word] for word in words if word in named), DEFAULT)
    if pipeline != DEFAULT:
        name_cells(pipeline)
    jobs = next((int(word) for word in words if word.isdecimal()), num_cores())
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["TRIVIUM_PROGRESS"] = "lines"
    if jobs > 1 and pipeline != SCALING:
        prepare_all(jobs)
    if dvc("repro", *SHARED[pipeline]).returncode:
        sys.exit(1)
    from _compose import read_grid

    finetuned = read_grid("default")["finetuned"]
    todo = chains(changed(pipeline), finetuned) if jobs > 1 else []
    if todo:
        print(f"== {len(todo)} chains to do, {jobs} at a time", flush=True)
        run_all(todo, jobs)
    sys.exit(dvc("repro", pipeline).returncode)


if __name__ == "__main__":
    main()
