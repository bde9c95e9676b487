"""A run without a controller, for whoever only wants its records: evaluation, calibration, benchmarks, tests."""

import uuid
from collections.abc import Iterator

from edge.camera.frame import FrameSource
from edge.contracts.bundle import Bundle
from edge.contracts.errors import LeukoError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord, Record, RunOutcome, RunStop
from edge.engine.base import Engine
from edge.pipeline.field_work import plan_for
from edge.pipeline.parts import Parts
from edge.pipeline.run import Run
from edge.pipeline.run_control import StopSwitch
from edge.settings import EdgeSettings, Setup


def records_of(run: Run) -> Iterator[Record]:
    """`run_start`, every field and note, `run_stop`: the steps that the main function turns, with nothing between them."""
    yield run.begin()
    with run:
        while run.goes_on:
            for ended in run.compute(run.take()):
                yield run.count(ended)
    with run.settling() as left:
        for ended in left:
            yield run.count(ended)
    yield run.end()


def run_fields(source: FrameSource, engine: Engine, bundle: Bundle, settings: EdgeSettings) -> Iterator[FieldRecord]:
    """Every field of a source, without a stream: for evaluation, calibration and tests. `engine` is as from `engine_for`.

    Raises `LeukoError` with the run's detail when the run fails; a single field that failed is a record like any other.
    """
    order = RunStartCommand(cmd_id="local", run_id=str(uuid.uuid4()))
    parts = Parts(source, engine, plan_for(source.info, bundle))
    for record in records_of(Run(Setup(settings, bundle), parts, order, StopSwitch())):
        if isinstance(record, FieldRecord):
            yield record
        elif isinstance(record, RunStop) and record.outcome is RunOutcome.FAILED:
            raise LeukoError(record.detail)
