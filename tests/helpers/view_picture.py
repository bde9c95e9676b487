"""Takes the documentation's picture of `leuko-edge view`: a drawn (synthetic) slide, a real edge, a real browser.

PYTHONPATH=.:tests/helpers python tests/helpers/view_picture.py docs/pictures/live-view.png
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from support.browser import browser, save_picture
from support.ports import free_endpoint
from support.served_page import served_page

_SOURCE = "virtual:seed=42,fields=60,wbc=1.5,rate=4"
_SHOWN_FROM = 40
"""Fields that have ended when the picture is taken."""

_IS_SEEN = """by('state').innerText === 'RUNNING' && document.querySelector('#field rect.box')
  && performance.getEntriesByType('resource').some(
    (one) => one.name.endsWith(document.querySelector('#field image').getAttribute('href')) && one.responseEnd > 0)"""
"""A field with cells is shown, and its picture has come."""


def main(picture: Path) -> None:
    """Perform the run, and look at it in its midst."""
    bind, telemetry = free_endpoint(), free_endpoint()
    with tempfile.TemporaryDirectory() as folder:
        kept = ("--keep-frames", f"{folder}/frames", "--keep-crops", f"{folder}/crops")
        journal = ("--journal", f"{folder}/journal.sqlite")
        edge = ("run", "--source", _SOURCE, "--bind", bind, "--telemetry", telemetry, *journal, *kept)
        command = [sys.executable, "-m", "edge.cli"]
        with (
            subprocess.Popen([*command, *edge], stderr=subprocess.DEVNULL) as running,
            subprocess.Popen([*command, "watch", bind, "--json", "--timeout-s", "60"], stdout=subprocess.DEVNULL) as watching,
        ):
            try:
                with served_page(telemetry, *journal) as page, browser() as tab:
                    tab.open(page.url, width_px=1280, height_px=1180)
                    tab.until(f"+document.body.dataset.ended >= {_SHOWN_FROM}")
                    tab.until(
                        "document.querySelectorAll('#map rect').length > 20 && document.querySelector('#gallery img')?.complete"
                    )
                    tab.until(_IS_SEEN)
                    save_picture(picture, tab.picture())
            finally:
                watching.terminate()
                running.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
