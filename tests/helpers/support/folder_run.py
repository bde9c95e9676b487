"""A run over the pictures of a folder, as its records, and what its events say."""

from collections.abc import Sequence
from pathlib import Path

from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, Record, RunStop
from edge.pipeline import Run, StopSwitch, opened, records_of
from edge.settings.resolution import resolve


def records_over(folder: Path, bundle: Path, um_per_px: float = 0.13) -> list[Record]:
    """All records of a run over the `.png` files of `folder`."""
    setup = resolve({"source": str(folder / "*.png"), "um_per_px": um_per_px, "bundle": str(bundle)})
    with opened(setup) as parts:
        return list(records_of(Run(setup, parts, RunStartCommand(cmd_id="c", run_id="r"), StopSwitch())))


def messages_of(records: Sequence[Record], code: str) -> list[str]:
    """Of the events of that code, in their order."""
    return [record.message for record in records if isinstance(record, Event) and record.code == code]


def doubts_of(records: Sequence[Record], words: str) -> list[str]:
    """Those at the run's end that have these words."""
    last = records[-1]
    assert isinstance(last, RunStop)
    return [doubt for doubt in last.doubts if words in doubt]
