"""Which code made a model."""

import subprocess
from pathlib import Path

import leukostream


def code_version() -> str:
    """Version and, in a checkout, the commit (with a + when files differ from it)."""
    root = Path(leukostream.__file__).parents[1]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return f"{leukostream.__version__} ({done.stdout.strip()})"
    except (OSError, subprocess.SubprocessError):
        return leukostream.__version__
