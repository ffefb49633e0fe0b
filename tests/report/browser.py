"""A headless Chromium that is spoken to over a pipe, in its DevTools protocol."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page of a browser; `errors` are what the page said on its console, or threw."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        # The browser reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            [
                "bash", "-c", script, CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
                f"--user-data-dir={profile}", "about:blank",
            ],
            pass_fds=(ours[0], theirs[1]), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self.commands, self.answers = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb")
        self.number, self.session, self.errors = 0, None, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.session = None
        self.send("Browser.close")
        self.process.wait(timeout=20)
        self.commands.close()
        self.answers.close()

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and wait for what it returns."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, path: Path) -> None:
        """Go to a file and wait until the report says that it is drawn."""
        self.send("Page.navigate", url=path.as_uri())
        self.run(
            "new Promise((done) => { const ask = () => "
            "document.documentElement?.dataset.ready === 'yes' ? done() : setTimeout(ask, 50);"
            " ask(); })"
        )

    def run(self, script: str) -> Any:
        """The value of an expression; of a promise, what it resolves to."""
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key goes down and up, as from a keyboard."""
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def _read(self) -> dict[str, Any]:
        data = b""
        while not data.endswith(b"\0"):
            byte = self.answers.read(1)
            assert byte, "the browser has gone"
            data += byte
        answer = json.loads(data[:-1])
        said = answer.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        if said or answer.get("method") == "Log.entryAdded":
            self.errors.append(answer["params"])
        return answer
