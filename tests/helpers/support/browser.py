"""A real browser without a window: Debian's chromium, spoken to over two pipes (Chrome DevTools Protocol), so that a test sees
what a person sees. Nothing is installed for it; where it is absent a test is skipped with a sentence."""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ABSENT = "no chromium is installed here, so no page is looked at in a real browser (Debian: apt install chromium)"
_WITHIN_S = 60.0
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync", "--no-proxy-server"),
    *(
        "--disable-component-update",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ),
)


class Browser:
    """One tab. Every wait is for a condition."""

    def __init__(self, to: int, come: int) -> None:
        self._to, self._from = to, come
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.requests: list[str] = []
        """every address that was asked for"""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Network.enable")

    def open(self, url: str, width_px: int = 1280, height_px: int = 900) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False)
        self._call("Page.navigate", url=url)

    def value(self, script: str) -> Any:  # noqa: ANN401 whatever the script gives
        """What a JavaScript expression gives in the page."""
        done = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until the expression is true; one that fails, as in a page that is still empty, is not."""
        until_s = time.monotonic() + _WITHIN_S
        while not self.value(f"(() => {{ try {{ return Boolean({script}) }} catch {{ return false }} }})()"):
            assert time.monotonic() < until_s, f"{script} did not become true; the page says: {self.text('body')}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """As a person would, by the mouse in its middle."""
        script = (
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}}); "
            "const r = one.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        x, y = self.value(script)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """PNG of what is seen."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("method") == "Network.requestWillBeSent":
                self.requests.append(heard["params"]["request"]["url"])
            if heard.get("id") == self._number:
                assert "error" not in heard, heard["error"]
                result: dict[str, Any] = heard["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], _WITHIN_S)
            assert ready, "the browser says nothing"
            part = os.read(self._from, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        whole, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(whole)
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """Started with a profile of its own, ended with all its processes. It reads from descriptor 3 and writes to 4."""
    assert CHROMIUM is not None, ABSENT
    to_it, ours_out = os.pipe()
    ours_in, from_it = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        command = ["bash", "-c", f'exec "$@" 3<&{to_it} 4>&{from_it}', "browser", *words]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, pass_fds=(to_it, from_it), start_new_session=True, **quiet)  # type: ignore[call-overload]
        os.close(to_it)
        os.close(from_it)
        try:
            yield Browser(ours_out, ours_in)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(ours_out)
            os.close(ours_in)


def save_picture(path: Path, png: bytes, colours: int = 200, width_px: int = 900) -> None:
    """A small PNG for the documentation: narrower, with few colours, as a page has."""
    import io

    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    seen = Image.open(io.BytesIO(png)).convert("RGB")
    narrow = seen.resize((width_px, seen.height * width_px // seen.width), Image.Resampling.LANCZOS)
    narrow.quantize(colours).save(path, optimize=True)
