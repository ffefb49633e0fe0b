"""Runs scripts in forks of one process that has imported all that they import.

Each line of stdin is a job as JSON: `words` (script and arguments), `place`, `environment`, and the
files `out` and `err`. It is answered by two lines: the process's number, then its exit code.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import sys
import threading
import traceback

from hydra.core.plugins import Plugins

import trivium

LATE = ("torch._dynamo", "mlflow.store.tracking.sqlalchemy_store", "plotly.graph_objects", "optuna")
"""What is imported by what is called, not by the modules."""

for name in (*(one.name for one in pkgutil.walk_packages(trivium.__path__, "trivium.")), *LATE):
    importlib.import_module(name)
Plugins.instance()
gc.freeze()

for line in sys.stdin:
    job = json.loads(line)
    if not (pid := os.fork()):
        break
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
else:
    os._exit(0)

os.chdir(job["place"])
os.environ.clear()
os.environ.update(job["environment"])
for number, path in enumerate((os.devnull, job["out"], job["err"])):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
sys.argv = job["words"]


def exit_code():
    """Run the script as an interpreter does."""
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


code = exit_code()
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # to take all modules apart takes seconds
