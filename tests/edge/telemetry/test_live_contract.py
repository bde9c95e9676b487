"""What `live` looks like: on the protocol page, in the published schema, and as it is really sent."""

import json
import re
from pathlib import Path

import jsonschema
from support.scripted_run import field_record
from support.telemetry_bench import Bench

from edge.contracts.messages import Live, LiveField
from edge.contracts.records import FieldRecord
from edge.stream.codec import encode

DOCS = Path(__file__).parents[3] / "docs"


def test_the_protocol_page_shows_it_as_the_code_writes_it() -> None:
    section = (DOCS / "protocol.md").read_text(encoding="utf-8").split("\n## Telemetry\n")[1].split("\n## ")[0]
    (shown,) = re.findall(r"```json\n(.*)\n```", section)
    assert shown == encode(Live.model_validate_json(shown), "json").decode()


def test_a_live_message_is_what_the_schema_says(bench: Bench) -> None:
    telemetry, subscriber = bench.subscribed()
    telemetry.record(field_record("r", 1))
    with subscriber:
        message = subscriber.until(lambda message: message["last_field"] is not None)
    jsonschema.validate(message, json.loads((DOCS / "schemas" / "telemetry.schema.json").read_text()))


def test_the_last_field_has_the_names_of_a_field_record() -> None:
    assert LiveField.model_fields.keys() <= FieldRecord.model_fields.keys()
