"""One run by the real `leuko-edge run` process and the reference client, with the shipped bundle unless told otherwise."""

import subprocess
import sys
import time

from support.ports import free_endpoint

from edge.contracts.errors import StreamError
from edge.contracts.records import Record
from edge.stream.client import Controller


def records_of_run(*arguments: str) -> list[Record]:
    """All records of one run, in order; asserts that the edge process then ends with exit code 0."""
    endpoint = free_endpoint()
    command = [sys.executable, "-m", "edge.cli", "run", "--bind", endpoint, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            with connected(endpoint, process) as controller:
                records = list(controller.records(controller.start_run()))
            assert process.wait(20) == 0
        finally:
            process.kill()
    return records


def connected(endpoint: str, process: "subprocess.Popen[str]") -> Controller:
    """A session with the edge process, once it listens; fails with its last words when it ended instead."""
    deadline_s = time.monotonic() + 40
    while process.poll() is None and time.monotonic() < deadline_s:
        controller = Controller(endpoint)
        try:
            controller.connect(timeout_s=1.0)
        except StreamError:
            controller.close()
        else:
            return controller
    raise AssertionError(f"the edge cannot be reached: {process.communicate()[1] if process.poll() is not None else 'silent'}")
