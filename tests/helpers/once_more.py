"""`make test` runs its two halves side by side; the few tests that failed then are run once more, alone.

Real processes, sockets and emulated cameras share two cores with the other half, and a machine that stands still for a second
fails a test that is right. A fault of the code fails again. Nothing is hidden: each test that passed only alone is named in the
last line.
"""

import json
import subprocess
import sys
from pathlib import Path

AT_MOST = 3
"""More than so many are no chance, and are not tried again."""

TESTS_FAILED, NOTHING_TO_RUN = 1, 5
"""pytest's exit codes besides 0 after which its cache knows what failed; any other is a crash or an interruption."""


def failed_in(environment: Path, part: str) -> list[str] | None:
    """Names of the tests that failed in this part; None where it did not come to its end."""
    try:
        code = int((environment / f"{part}.exit").read_text())
    except (FileNotFoundError, ValueError):
        return None
    if code in (0, NOTHING_TO_RUN):
        return []
    if code != TESTS_FAILED:
        return None
    try:
        return list(json.loads(Path(f".pytest_cache/{part}/v/cache/lastfailed").read_text()))
    except (FileNotFoundError, ValueError):  # it failed, and nobody knows what
        return None


def main(environment: str, *parts: str) -> int:
    failed: list[str] = []
    for part in parts:
        of_part = failed_in(Path(environment), part)
        if of_part is None:
            print(f"make test: the tests of {part} did not come to their end", file=sys.stderr)
            return 1
        failed += of_part
    if not 0 < len(failed) <= AT_MOST:
        return 1
    print(f"-- {len(failed)} failed while both halves ran; once more, alone", flush=True)
    command = [f"{environment}/bin/python", "-m", "pytest", "-p", "no:cacheprovider", *failed]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        print("make test: passed only when run alone, look at them: " + ", ".join(failed))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
