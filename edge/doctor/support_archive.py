"""One archive that says everything about a run to who is asked for help, and nothing about whose blood it was.

The run's chain is verified first, because the extract cannot be: ids of slides and samples are replaced by words in it. Secrets
are left out. No image is in it.
"""

import hashlib
import json
import platform
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError, LeukoError, first_line
from edge.contracts.hidden_ids import HiddenIds
from edge.contracts.secrets_hidden import text_without_secrets, without_secrets
from edge.contracts.version import VERSION
from edge.journal.archive import Archive, StoredRun

_NAMED = ("slide_id", "sample_id")
"""Keys whose value is an id, however short it is."""
_NOTE = (
    "Ids of slides and samples are replaced by words (slide-1, sample-1, ...), the same in every file; passwords and tokens "
    "are left out, and no image is in here. So the chain of hashes cannot be verified on these records: verdict.json says what "
    "was found on the journal itself, before."
)


@dataclass(slots=True)
class Cleaner:
    """Takes ids and secrets out of documents."""

    hidden: HiddenIds
    shown: int = 0

    def document(self, value: object) -> object:
        """`value` as it may be seen."""
        return self.hidden.in_document(without_secrets("", self._ids(value)))

    def text(self, text: str) -> str:
        """The same of a sentence."""
        return self.hidden.in_text(text_without_secrets(text))

    def _ids(self, value: object) -> object:
        if isinstance(value, dict):
            return {
                key: self._word(each) if key in _NAMED and each is not None else self._ids(each) for key, each in value.items()
            }
        return [self._ids(each) for each in value] if isinstance(value, list) else value

    def _word(self, name: object) -> str:
        return self.hidden.words.get(str(name), "(an id)")


def cleaner_of(archive: Archive, run: StoredRun, more: Iterable[str | None] = ()) -> Cleaner:
    """Knows every id of a slide or sample in the journal, and `more`; those of `run` have the number 1."""
    words: dict[str, str] = {}
    numbers = dict.fromkeys(_NAMED, 0)
    for each in [run, *(other for other in archive.runs() if other.number != run.number)]:
        with suppress(LeukoError, ValueError, LookupError, TypeError):  # a record that is none has no ids to be found
            start = json.loads(archive.first_and_last(each)[0])
            for key in _NAMED:
                if (name := start[key]) and name not in words:
                    numbers[key] += 1
                    words[name] = f"{key.removesuffix('_id')}-{numbers[key]}"
    words |= {name: "(an id)" for name in more if name and name not in words}
    return Cleaner(HiddenIds(words))


def verdict_of(archive: Archive, run: StoredRun) -> dict[str, Any]:
    """Whether the run is as it was written, from the journal itself."""
    problem = archive.problem(run)
    return {
        "whole": not problem and not archive.lacks,
        "problem": problem or archive.lacks or None,
        "records": run.records,
        "acknowledged": run.acknowledged,
        "last_link": run.link.hex(),
    }


def clean_records(archive: Archive, run: StoredRun, cleaner: Cleaner) -> Iterator[object]:
    """Every record as it may be seen; of what is none only that it is none."""
    for number, content in enumerate(archive.records(run)):
        try:
            yield cleaner.document(json.loads(content))
        except ValueError:
            yield {"unreadable": f"record {number} is no JSON"}


def versions() -> dict[str, Any]:
    """Of this installation: itself, Python, the system, and every distribution beside it."""
    found = {str(each.metadata["Name"]): each.version for each in distributions() if each.metadata["Name"]}
    return {
        "leukostream": VERSION,
        "python": sys.version,
        "system": platform.platform(),
        "distributions": dict(sorted(found.items(), key=lambda pair: pair[0].lower())),
    }


@dataclass(slots=True)
class ArchiveWriter:
    """A ZIP file that is there as a whole or not at all. Raises `ConfigError` when it cannot be written."""

    out: Path
    contents: list[dict[str, Any]] = field(default_factory=list)

    def write(self, files: Iterable[tuple[str, Iterable[object]]]) -> None:
        """Each file from its documents: one makes a file for people to read, of several each is a line."""
        part = self.out.with_name(f"{self.out.name}.part")
        try:
            if self.out.exists():
                raise ConfigError(f"{self.out} is there already; give another file with --out.")
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, documents in files:
                    self._add(archive, name, documents)
                about = {"leukostream": VERSION, "note": _NOTE, "files": self.contents}
                self._add(archive, "about.json", [about])
            part.replace(self.out)
        except OSError as problem:
            raise ConfigError(
                f"{self.out} cannot be written ({first_line(problem)}); give another file with --out."
            ) from problem
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _add(self, archive: zipfile.ZipFile, name: str, documents: Iterable[object]) -> None:
        sha256, n_bytes, indent = hashlib.sha256(), 0, None if name.endswith(".jsonl") else 1
        with archive.open(name, "w", force_zip64=True) as stream:
            for document in documents:
                line = json.dumps(document, indent=indent).encode() + b"\n"
                sha256.update(line)
                n_bytes += stream.write(line)
        self.contents.append({"name": name, "bytes": n_bytes, "sha256": sha256.hexdigest()})
