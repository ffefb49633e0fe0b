"""Runs, measurements, features and tracked artifacts that no named grid refers to."""

import shutil
from pathlib import Path

from trivium.compose import grid_names, grid_values
from trivium.config import Config
from trivium.grid import Grid

FOLDERS = ("outputs/runs", "outputs/probes", "outputs/finetuned")
FEATURES = Path("outputs/features")


def main(values: Config) -> None:
    """List what no grid of `conf/grid` refers to; with `remove` it is removed as well.

    Features are those of checkpoints whose run is not kept. Of the tracker, the pretraining runs
    that are not kept go with their artifacts; sweeps and their trials stay.
    """
    folders, identities = kept()
    from trivium.tracking.query import remove_runs, stale_runs

    candidates = (path for one in FOLDERS for path in sorted(Path(one).glob("*/")))
    found = [path for path in candidates if path.as_posix() not in folders]
    found += stale_features(folders)
    runs = stale_runs(identities)
    for path in found:
        print(f"{path}  {size(path) / 1e6:.1f} MB")
    for run in runs:
        print(f"tracked run {run.name} ({run.run_id})")
    total = sum(size(path) for path in found) / 1e6
    print(f"{len(found)} folder(s), {total:.1f} MB, and {len(runs)} tracked run(s) "
          "that no grid of conf/grid refers to")  # fmt: skip
    if not values["remove"]:
        print("nothing was removed; remove=true (make prune YES=1) does it")
        return
    for path in found:
        shutil.rmtree(path)
    remove_runs(runs)
    print("removed")


def kept() -> tuple[set[str], set[str]]:
    """The folders that some grid refers to, and the identities of its pretrainings."""
    folders, identities = set(), set()
    for name in grid_names():
        grid = Grid(grid_values(name))
        runs = grid.jobs("pretrain")
        identities |= {job.identity for job in runs if job.identity is not None}
        jobs = [*runs, *grid.jobs("probe"), *grid.jobs("finetune")]
        folders |= {job.folder.as_posix() for job in jobs if job.folder is not None}
        grid.compositions.save()
    return folders, identities


def stale_features(folders: set[str]) -> list[Path]:
    """The cached features of checkpoints that are no kept run's."""
    if not FEATURES.is_dir():
        return []
    from trivium.encoders.checkpoint import checkpoint_hash

    runs = [Path(one) for one in folders if one.startswith(FOLDERS[0])]
    known = {checkpoint_hash(run)[:16] for run in runs if (run / "encoder.yaml").is_file()}
    return sorted(path for path in FEATURES.iterdir() if path.name not in known)


def size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
