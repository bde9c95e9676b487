"""Which code made a model."""

import subprocess
from pathlib import Path

from edge.contracts.version import VERSION


def code_version() -> str:
    """Version and, in a checkout, the commit (with a + when files differ from it)."""
    root = Path(__file__).parents[1]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return f"{VERSION} ({done.stdout.strip()})"
    except (OSError, subprocess.SubprocessError):
        return VERSION
