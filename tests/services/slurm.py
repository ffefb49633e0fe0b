"""A SLURM of one node on this machine, with daemons of its own that end with it."""

import contextlib
import getpass
import os
import shutil
import socket
import string
import subprocess
import tempfile
import time
from pathlib import Path

NEEDED = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
SECONDS = 60


def missing():
    """Commands that are not installed (Debian: slurm-wlm and munge)."""
    return [name for name in NEEDED if shutil.which(name, path=search_path()) is None]


def search_path():
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


class Slurm:
    """The running services; `environment` is what makes commands find them."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": search_path()}
        self.daemons = []

    def start(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        template = Path(__file__).with_name("slurm.conf").read_text()
        text = string.Template(template).substitute(
            HOST=socket.gethostname().partition(".")[0],
            USER=getpass.getuser(),
            FOLDER=self.folder,
            CONTROLLER_PORT=free_port(),
            NODE_PORT=free_port(),
        )
        (self.folder / "slurm.conf").write_text(text)
        key, place = self.folder / "munge.key", self.folder / "munge.socket"
        self.run("mungekey", "--create", f"--keyfile={key}")
        self.daemon(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={place}",
            f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )  # fmt: skip
        self.until(place.exists, "munged opens no socket")
        self.daemon("slurmctld", "-D")
        self.daemon("slurmd", "-D")
        self.until(lambda: self.run("sinfo", "-h", "-o", "%T", check=False).strip() == "idle",
                   "the node does not come up")  # fmt: skip

    def stop(self):
        self.run("scancel", "--me", check=False)
        with contextlib.suppress(AssertionError):
            self.until(lambda: not self.jobs(), "jobs are left")
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def jobs(self):
        """Ids and states of the jobs that are queued or running."""
        said = self.run("squeue", "-h", "-r", "-o", "%i %T", check=False)
        return dict(line.split() for line in said.splitlines())

    def run(self, *words, check=True):
        environment = os.environ | self.environment
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert not (check and done.returncode), f"{words}: {done.stderr}"
        return done.stdout

    def daemon(self, *words):
        with (self.folder / f"{words[0]}.out").open("w") as out:
            self.daemons.append(
                subprocess.Popen(
                    words,
                    env=os.environ | self.environment,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def until(self, condition, otherwise):
        end = time.monotonic() + SECONDS
        while not condition():
            logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.out"))
            assert time.monotonic() < end, f"{otherwise}\n{logs}"
            time.sleep(0.2)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def slurm():
    """Start the services, and end them."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has 107 characters
    service = Slurm(folder)
    try:
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)
