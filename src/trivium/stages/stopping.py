"""Ctrl-C and SIGTERM end a multirun with all its processes; a stage ends with the DVC it is of."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import NamedTuple

import psutil

GRACE_SECONDS = 3.0
"""How long children may take to mark their runs as killed."""
LONGEST_SECONDS = 6.0
"""After so long the process ends, whatever it is in."""
ALONE_SECONDS = 2.0
"""How long a multirun may take to end when its workers have ended."""
PAUSE_SECONDS = 0.5

STOPPING = (signal.SIGINT, signal.SIGTERM)
SERVICES = {"raylet", "gcs_server"}
SHELLS = {"sh", "bash", "dash", "zsh"}

_hooks: list[Callable[[], None]] = []
_children_ended = threading.Event()
_pipe: list[int] = []


class Owner(NamedTuple):
    """The process of a multirun, known to its workers even if its number is used again."""

    pid: int
    started: float

    @classmethod
    def this(cls) -> "Owner":
        """The present process."""
        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = bool(process.create_time() == self.started)
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def on_stop(hook: Callable[[], None]) -> None:
    """Call this, too, when the process is told to stop; it must return within seconds."""
    _hooks.append(hook)


def install() -> None:
    """Make SIGINT and SIGTERM end this process and its children with code 130 or 143.

    For the main thread of an entry point. Python runs a signal's handler in the main thread alone,
    which may be busy in C; so a thread hears of the signal, too, and has the last word. A signal
    that the caller ignores (a background job of a script) stays ignored.

    A stage that DVC started (`DVC_STAGE` is set) also ends when DVC does.
    """
    if not _pipe:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        _pipe.extend((reading, writing))
        threading.Thread(target=_listen, args=(reading,), name="stopping", daemon=True).start()
        if os.environ.get("DVC_STAGE"):
            _watch([Owner(one.pid, one.create_time()) for one in _starters()])
    handle_signals()


def handle_signals() -> None:
    """Set the handlers of `install` again, where a library has replaced them."""
    signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def enter_worker(owner: Owner | None) -> None:
    """Prepare a worker's process for a job: its multirun, the owner, decides when it ends.

    The terminal's Ctrl-C reaches workers as well; they wait for what the multirun makes of it. One
    whose multirun has vanished (kill -9) ends itself. None where a cluster watches over the job.
    """
    if owner is None or owner.pid == os.getpid():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit ignores it, an earlier job handled it
    if not any(thread.name == "watching" for thread in threading.enumerate()):
        _watch([owner])


def end_children(grace: float = GRACE_SECONDS) -> tuple[bool, bool]:
    """End all processes below this one: SIGTERM, and SIGKILL for those that do not follow.

    Ray's services are stopped meanwhile, so that they start no further job.

    Returns:
        Whether there was any process, and whether Ray was among them.
    """
    left = _computing()
    services = [process for process in left if _said(process.name) in SERVICES]
    jobs = [process for process in left if process not in services]
    _send(services, signal.SIGSTOP)
    _send(jobs, signal.SIGTERM)
    _, alive = psutil.wait_procs(jobs, timeout=grace)
    _send({*alive, *_computing()}, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=1.0)
    return bool(left), bool(services)


def _computing() -> list[psutil.Process]:
    """Processes below this one, without trackers, which end by themselves when it has ended."""
    below = psutil.Process().children(recursive=True)
    return [one for one in below if "resource_tracker" not in _said(one.cmdline)]


def _said(ask: Callable[[], str | list[str]]) -> str:
    """What a process says of itself; empty if it has ended."""
    try:
        return str(ask())
    except psutil.Error:
        return ""


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _stop(number: int, _frame: FrameType | None) -> None:
    _children_ended.wait(LONGEST_SECONDS)
    sys.exit(128 + number)


def _listen(reading: int) -> None:
    while True:
        number = os.read(reading, 1)[0]
        if number in STOPPING and signal.getsignal(number) is not signal.SIG_IGN:
            break
    until = time.monotonic() + LONGEST_SECONDS
    print(f"stopping ({signal.Signals(number).name})", file=sys.stderr, flush=True)
    for hook in _hooks:
        try:
            hook()
        except Exception as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
    anything, ray = end_children()
    if ray:  # its client ends a process without services with a code of its own
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(128 + number)
    if anything:
        until = min(until, time.monotonic() + ALONE_SECONDS)
    _children_ended.set()
    time.sleep(max(0.0, until - time.monotonic()))
    os._exit(128 + number)


def _starters() -> list[psutil.Process]:
    """The processes between this one and the DVC that started it, DVC included."""
    found = []
    for process in psutil.Process().parents():
        if process.pid == 1:
            break
        found.append(process)
        if process.name() not in SHELLS:
            break
    return found


def _watch(owners: list[Owner]) -> None:
    """Stop this process when one of these has vanished."""

    def watch() -> None:
        while all(owner.alive for owner in owners):
            time.sleep(PAUSE_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LONGEST_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="watching", daemon=True).start()
