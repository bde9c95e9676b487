"""`docs/asyncapi.yaml` by the rules of AsyncAPI 3: what it refers to exists, and every message has its place and its answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edge.published.directions import DIRECTIONS, Direction

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
OPERATIONS: dict[str, dict[str, Any]] = DOCUMENT["operations"]


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            assert part.keys() == {"$ref"}, "nothing beside a $ref is read"
            yield part["$ref"]
        for key, inner in part.items():
            if key != "examples":
                yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _at(reference: str) -> dict[str, Any]:
    file, _, pointer = reference.partition("#")
    found: dict[str, Any] = json.loads((DOCS / file).read_text(encoding="utf-8")) if file else DOCUMENT
    for step in pointer.split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _names(references: list[dict[str, str]]) -> set[str]:
    return {each["$ref"].rsplit("/", 1)[1] for each in references}


def test_it_has_the_parts_that_are_required() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert all({"host", "protocol"} <= server.keys() for server in DOCUMENT["servers"].values())
    assert DOCUMENT["servers"]["local"]["host"] == "127.0.0.1:5570"


def test_every_reference_leads_somewhere() -> None:
    references = list(_references(DOCUMENT))
    assert len(references) > 50
    for reference in references:
        assert isinstance(_at(reference), dict), reference


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda direction: direction.name)
def test_every_message_of_the_code_is_in_it_with_the_schema_of_its_direction(direction: Direction) -> None:
    for kind, model in direction.models.items():
        payload = _at(MESSAGES[kind]["payload"]["$ref"])
        assert payload["properties"]["type"]["const"] == kind == MESSAGES[kind]["name"]
        whole = json.loads((DOCS / "schemas" / f"{direction.name}.schema.json").read_text(encoding="utf-8"))
        assert payload == whole.get("$defs", {}).get(model.__name__, whole), "one message, one schema, whoever sends it"


def test_no_message_is_in_it_that_the_code_does_not_have() -> None:
    assert MESSAGES.keys() == {kind for direction in DIRECTIONS for kind in direction.models}


def test_every_message_is_received_or_sent_as_in_the_code() -> None:
    received = {name for each in OPERATIONS.values() if each["action"] == "receive" for name in _names(each["messages"])}
    sent = {name for each in OPERATIONS.values() if each["action"] == "send" for name in _names(each["messages"])}
    for operation in OPERATIONS.values():
        answers = _names(operation.get("reply", {}).get("messages", []))
        (sent if operation["action"] == "receive" else received).update(answers)
    inward = next(each for each in DIRECTIONS if each.name == "to_edge")
    assert received == inward.models.keys()
    assert sent == {kind for each in DIRECTIONS if each is not inward for kind in each.models}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_uses_messages_of_its_own_channel(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["action"] in {"receive", "send"}
    for part in [operation, *([operation["reply"]] if "reply" in operation else [])]:
        channel = part["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        assert part["messages"], "an operation without messages stands for all of its channel"
        for message in part["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        pytest.param("HELLO", {"WELCOME", "REJECT"}, id="HELLO"),
        pytest.param("RUN_START", {"ACCEPTED", "REJECTED", "REJECT"}, id="RUN_START"),
        pytest.param("TRIGGER", {"ACCEPTED", "REJECTED", "REJECT"}, id="TRIGGER"),
        pytest.param("RUN_STOP", {"ACCEPTED", "REJECTED", "REJECT"}, id="RUN_STOP"),
        pytest.param("QUERY", {"STATE", "REJECTED", "REJECT"}, id="QUERY"),
        pytest.param("PING", {"PONG", "REJECT"}, id="PING"),
    ],
)
def test_what_a_client_asks_has_its_answers(question: str, answers: set[str]) -> None:
    (operation,) = [
        each for each in OPERATIONS.values() if each["action"] == "receive" and question in _names(each["messages"])
    ]
    assert _names(operation["reply"]["messages"]) == answers
    keys = [MESSAGES[name].get("correlationId") for name in {question, *answers} - {"HELLO", "WELCOME", "REJECT"}]
    assert len({json.dumps(key) for key in keys}) <= 1, "question and answer are tied by the same key"


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_has_examples_that_fit_and_a_place_for_what_ties_it_to_its_answer(name: str) -> None:
    message = MESSAGES[name]
    schema, _, pointer = message["payload"]["$ref"].partition("#")
    whole = json.loads((DOCS / schema).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator({"$defs": whole.get("$defs", {}), "$ref": f"#{pointer}"} if pointer else whole)
    assert message["examples"]
    for example in message["examples"]:
        validator.validate(example["payload"])
        if "correlationId" in message:
            location = _at(message["correlationId"]["$ref"])["location"]
            assert location.removeprefix("$message.payload#/") in example["payload"]


@pytest.mark.parametrize("name", MESSAGES)
def test_msgpack_is_named_for_all_that_may_come_in_it(name: str) -> None:
    always_json = name in {"HELLO", "WELCOME", "REJECT", "live"}
    assert MESSAGES[name]["contentType"] == "application/json"
    assert MESSAGES[name].get("x-alternative-content-type") == (None if always_json else "application/vnd.msgpack")
