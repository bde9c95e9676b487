"""`leuko-edge bench-stream`: the stream's speed, from the journal to a controller in another process."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer


def bench_stream(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="folder on the disk to measure; the system's folder for temporary files when not given"),
    ] = None,
    # The least from which its memory is judged; `stream_report` is not imported for --help.
    records: Annotated[int, typer.Option(min=1000, help="records of each row that go in batches")] = 20_000,
    singles: Annotated[int, typer.Option(min=10, help="records of each row that come one at a time")] = 100,
    durability: Annotated[Literal["both", "full", "normal"], typer.Option(help="of the journal")] = "both",
    encoding: Annotated[Literal["both", "json", "msgpack"], typer.Option(help="of the records on the wire")] = "json",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Send records through a journal on disk and a socket on loopback to the reference client in another process.

    The records are the pipeline's own, made without camera and engine. First they come one at a time, in turn with a bare sync
    of the same disk (one page, written over and synchronised) and a bare ZeroMQ message; then as fast as they go, in batches.
    `--records 1000000` is the long version; its journal takes more than a gigabyte, which is given back.
    """
    from edge.bench.stream_bench import bench_stream as measure
    from edge.bench.stream_report import table
    from edge.service.process import set_up_logging

    set_up_logging("warning", None)
    result = measure(folder, durability, encoding, records, singles)
    typer.echo(json.dumps(result) if as_json else table(result))
