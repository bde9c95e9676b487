"""An archive of some slides with few fields, and the command that scores it, in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pyarrow.parquet
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.cli import main

SLIDES = {
    "s1": [["lymphocyte"], ["eosinophil", "lymphocyte"], []],
    "s2": [["platelet_giant"]],
    "s10": [["eosinophil"], ["eosinophil"]],
}
"""Slides of the archive, and the cells of each of their fields."""
Score = Callable[..., tuple[int, dict[str, Any], str]]
Tables = Callable[..., dict[str, list[dict[str, Any]]]]


def write_slide(folder: Path, fields: list[list[str]]) -> None:
    folder.mkdir(parents=True)
    for number, cells in enumerate(fields):
        field = blob_field([(cell, 8 + 48 * at, 40) for at, cell in enumerate(cells)])
        cv2.imwrite(str(folder / f"{number}.png"), field)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name, fields in SLIDES.items():
        write_slide(tmp_path / "archive" / name, fields)
    return tmp_path / "archive"


@pytest.fixture
def score(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Score:
    bundle = write_tiny_bundle(tmp_path / "bundle")

    def scored(slides: Path, *words: str, scale: str | None = "0.13", out: str = "out") -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON that was printed, and what was said besides."""
        more = [] if scale is None else ["--um-per-px", scale]
        where = ["--bundle", str(bundle.path), "--out", str(tmp_path / out)]
        monkeypatch.setattr("sys.argv", ["leuko-edge", "score", str(slides), *where, "--json", *more, *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if said.out else {}, said.err

    return scored


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    def read(out: str = "out") -> dict[str, list[dict[str, Any]]]:
        """What a reader of Parquet folders finds, each slide's rows together."""
        found = {name: pyarrow.parquet.read_table(tmp_path / out / name).to_pylist() for name in ("slides", "fields", "cells")}
        return {name: sorted(rows, key=lambda row: str(row["slide_id"])) for name, rows in found.items()}

    return read


SAME_EVERY_TIME = (
    "slide_id",
    "run_id",
    "status",
    "failure",
    "detail",
    "fields",
    "wbc",
    "differential",
    "input_sha256",
    "notes",
)


def results(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """All that two calls with the same slides must agree on: everything but times."""
    slides = [{name: row[name] for name in SAME_EVERY_TIME} for row in tables["slides"]]
    return {**tables, "slides": slides}
