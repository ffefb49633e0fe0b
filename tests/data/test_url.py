import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trivium.data.errors import SourceUnavailable
from trivium.data.sources import UrlSource

CONTENT = bytes(range(256)) * 5000


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        flaky = self.path == "/flaky.zip" and len(self.asked) < 3
        code = 503 if flaky or self.path == "/down" else 404 if self.path == "/none" else 200
        self.send_response(302 if self.path == "/moved" else code)
        if self.path == "/moved":
            self.send_header("Location", "/data.zip")
        whole = code == 200 and self.path != "/moved"
        self.send_header("Content-Length", str(len(CONTENT)) if whole else "0")
        self.end_headers()
        if whole:
            self.wfile.write(CONTENT)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_a_file_is_streamed_home(server, tmp_path):
    path = UrlSource(f"{server}/data.zip").fetch(tmp_path)
    assert (path.name, path.read_bytes()) == ("data.zip", CONTENT)


def test_redirects_are_followed(server, tmp_path):
    assert UrlSource(f"{server}/moved").fetch(tmp_path).read_bytes() == CONTENT


def test_a_passing_failure_is_tried_again(server, tmp_path):
    path = UrlSource(f"{server}/flaky.zip", wait=0.01).fetch(tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(Handler.asked) == 3


def test_lasting_failures_end_after_the_attempts(server, tmp_path):
    with pytest.raises(SourceUnavailable, match="503"):
        UrlSource(f"{server}/down", attempts=2, wait=0.01).fetch(tmp_path)
    assert len(Handler.asked) == 2
    with pytest.raises(SourceUnavailable, match="404"):
        UrlSource(f"{server}/none").fetch(tmp_path)
    assert len(Handler.asked) == 3


def test_a_larger_file_than_allowed_is_refused(server, tmp_path):
    with pytest.raises(SourceUnavailable, match="larger than 1000 bytes"):
        UrlSource(f"{server}/data.zip", max_bytes=1000).fetch(tmp_path)


def test_a_dead_address_gives_its_reason(tmp_path):
    with pytest.raises(SourceUnavailable, match="ConnectError"):
        UrlSource("http://127.0.0.1:9/x", attempts=1).fetch(tmp_path)
