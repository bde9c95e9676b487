"""Writes everything of the published protocol anew: `python -m edge.published docs`."""

import sys
from pathlib import Path

from edge.published.lock import LockError
from edge.published.published_files import write_published

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m edge.published FOLDER")
    try:
        written = write_published(Path(sys.argv[1]))
    except LockError as problem:
        sys.exit(str(problem))
    print(f"{len(written)} files below {sys.argv[1]} are those of the code")
