"""Two gloo processes with half of a batch each: what a rank does, and who starts them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist

TESTS = Path(__file__).parent


def run(outcome):
    """As the rank of the command line: save what `outcome` finds in its half of the batch."""
    rank, folder = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.set_num_threads(1)

    def average(values):
        dist.all_reduce(values)
        values /= 2

    found = outcome(slice(4 * rank, 4 * rank + 4), average)
    np.savez(Path(folder) / f"rank{rank}.npz", **found)
    dist.destroy_process_group()


def start(script, folder):
    """What both ranks of a script saved."""
    paths = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, str(script), str(rank), str(folder)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(2)]
