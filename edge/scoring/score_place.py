"""Where an archive's scores lie: a file per slide in each of `cells`, `fields` and `slides`, and what all of them rest on.

    OUT/score.json              the model and the settings that all of it was scored with
    OUT/cells/SLIDE.parquet     written first
    OUT/fields/SLIDE.parquet
    OUT/slides/SLIDE.parquet    written last: with it the slide is done

Each folder is one table for whatever reads Parquet. Files are there as a whole or not at all, and are on the disk before the
slide's row is: a process that is killed leaves slides that are done and slides that are not. Several may write at a time.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet
from pyarrow.lib import ArrowException

from edge.contracts.errors import ConfigError
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole
from edge.scoring.score_tables import FORMAT, SLIDES, TableBuffer

ORDER = "score.json"
TABLES = ("cells", "fields", "slides")
_NAME_BYTES = 150
_log = logging.getLogger(__name__)


def file_name(slide_id: str) -> str:
    """What a slide's files are called: its name where that is one for a file, else written out so that no two are alike.

    A name that begins with a dot or an underscore would be passed over by readers of Parquet folders.
    """
    name = quote(slide_id, safe=" ()+,@=")
    if name[:1] in {".", "_"}:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _NAME_BYTES:
        name = f"{name[:_NAME_BYTES]}-{hashlib.sha256(slide_id.encode()).hexdigest()[:16]}"
    return f"{name}.parquet"


class ScorePlace:
    """An `--out`; `order` is what all of it rests on.

    Raises `ConfigError` when what is there already rests on something else, OSError when it cannot be written.
    """

    def __init__(self, out: Path, order: Mapping[str, Any]) -> None:
        self.out = out
        if out.exists() and not out.is_dir():
            raise ConfigError(f"--out {out} is a file; give a folder.")
        if out.is_dir() and not (out / ORDER).exists() and any(out.iterdir()):
            raise ConfigError(f"--out {out} holds other things than scores (it has no {ORDER}); give a new folder.")
        out.mkdir(parents=True, exist_ok=True)
        self._agree(json.dumps({"format": FORMAT, **order}, indent=1, sort_keys=True) + "\n")
        for table in TABLES:
            (out / table).mkdir(exist_ok=True)

    def row_of(self, slide_id: str) -> dict[str, Any] | None:
        """The slide's row as far as a resumed run asks; None while there is none that can be read."""
        path = self.out / "slides" / file_name(slide_id)
        columns = ["slide_id", "status", "failure", "detail", "input_sha256", "wbc", "fields"]
        try:
            rows = pyarrow.parquet.read_table(path, columns=columns, partitioning=None).to_pylist()
        except FileNotFoundError:
            return None
        except (ArrowException, OSError, ValueError) as problem:
            _log.warning("%s cannot be read (%s): its slide is scored again.", path, str(problem).partition("\n")[0])
            return None
        return rows[0] if len(rows) == 1 and rows[0]["slide_id"] == slide_id else None

    def commit(self, row: Mapping[str, Any], cells: TableBuffer, fields: TableBuffer) -> None:
        """Put a slide on the disk, in place of what was there of it. Raises OSError."""
        name = file_name(row["slide_id"])
        (self.out / "slides" / name).unlink(missing_ok=True)
        slides = TableBuffer(SLIDES)
        slides.add([row])
        for table, content in zip(TABLES, (cells, fields, slides), strict=True):
            path = self.out / table / name
            write_whole(path, content.parquet())
            _synchronise(path)

    def _agree(self, text: str) -> None:
        """Whoever comes first writes the order, and all others hold theirs against it."""
        path = self.out / ORDER
        first = self.out / f".{ORDER}-{os.getpid()}-{os.urandom(4).hex()}"
        if not path.exists():
            first.write_text(text, encoding="utf-8")
            try:
                os.link(first, path)
            except FileExistsError:
                pass
            except OSError:  # a file system without links: two that begin at once are not told apart
                write_whole(path, text)
            finally:
                first.unlink(missing_ok=True)
        found = read_whole(path, SMALL_BYTES).decode(errors="replace")
        if found != text:
            raise ConfigError(
                f"--out {self.out} holds scores that rest on something else ({_difference(found, text)}); "
                "give another --out, or the settings of then."
            )


def _difference(found: str, wanted: str) -> str:
    """The first thing that two orders do not agree on."""
    try:
        was, now = json.loads(found), json.loads(wanted)
        names = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    except (ValueError, TypeError, AttributeError):
        return f"{ORDER} is damaged"
    if not names:
        return f"{ORDER} is written otherwise"
    before, after = (_short(each.get(names[0])) for each in (was, now))
    return f"{names[0]} was {before} and is {after}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _synchronise(path: Path) -> None:
    """A row must not be on the disk before what it speaks of."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
