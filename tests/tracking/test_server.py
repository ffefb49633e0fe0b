import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from trivium.tracking.server import is_free

SERVER = [sys.executable, "-m", "trivium.tracking.server", "--port"]


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_one_clear_sentence(tracked, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free("127.0.0.1", port)
        done = subprocess.run([*SERVER, str(port)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == f"port {port} is in use: choose another one with --port"


def test_a_server_elsewhere_is_not_served_again(tracked):
    environment = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5999"}
    done = subprocess.run([*SERVER, "0"], env=environment, capture_output=True, text=True)
    assert "is a server already" in done.stderr


@pytest.mark.slow
def test_the_ui_answers_on_loopback_and_stops_with_its_process(tracked, port):
    process = subprocess.Popen([*SERVER, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip().removeprefix("MLflow: ")
        place, _, page = url.partition("/#/")
        assert place == f"http://127.0.0.1:{port}"
        assert page.startswith("experiments/1/runs?")
        assert _health(place) == b"OK"
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert is_free("127.0.0.1", port)


def _health(url: str) -> bytes:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(url)
