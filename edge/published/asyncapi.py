"""`docs/asyncapi.yaml`: the protocol as an AsyncAPI 3 document, from the edge's view.

It is made from the models, the golden vectors, and the tables here: servers, channels, and who sends what in answer to what.
"""

import inspect
import json
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from edge.contracts.messages import PROTOCOL_VERSION
from edge.published.directions import DIRECTIONS, Direction, wire_type
from edge.stream.codec import encode

JSON = "application/json"
MSGPACK = "application/vnd.msgpack"
_EXAMPLES = 2
"""The golden vectors hold them all."""

Document = dict[str, Any]

ROUTER = {"edge": "ROUTER, bound", "client": "DEALER, connected", "partsOfAMessage": 1}

SERVERS: dict[str, dict[str, Any]] = {
    "local": {
        "host": "127.0.0.1:5570",
        "protocol": "zmtp",
        "protocolVersion": "3.1",
        "title": "An edge without keys",
        "description": "The default of --bind. Without keys an edge binds to its own machine only.",
        "x-zeromq": {"mechanism": "NULL", **ROUTER},
    },
    "keyed": {
        "host": "{host}:{port}",
        "protocol": "zmtp",
        "protocolVersion": "3.1",
        "title": "An edge with keys",
        "description": "An edge that other machines can reach.",
        "variables": {
            "host": {"description": "address that the edge binds to", "examples": ["192.168.7.20"]},
            "port": {"default": "5570", "description": "TCP port"},
        },
        "security": [{"$ref": "#/components/securitySchemes/curve"}],
        "x-zeromq": {"mechanism": "CURVE", **ROUTER},
    },
    "telemetry": {
        "host": "127.0.0.1:5571",
        "protocol": "zmtp",
        "protocolVersion": "3.1",
        "title": "The telemetry socket",
        "description": "Off unless --telemetry names an address. An edge with keys speaks CURVE here too.",
        "x-zeromq": {"edge": "PUB, bound", "client": "SUB, connected, subscribed to everything", "partsOfAMessage": 1},
    },
}

SECURITY: dict[str, dict[str, Any]] = {
    "curve": {
        "type": "asymmetricEncryption",
        "description": (
            "CURVE of ZMTP (Curve25519): the client sets ZMQ_CURVE_SERVERKEY to the edge's public key and its own pair as "
            "ZMQ_CURVE_PUBLICKEY and ZMQ_CURVE_SECRETKEY. The edge lets in the public keys of its allow list; anybody else "
            "gets no answer at all."
        ),
    }
}

CORRELATIONS: dict[str, tuple[str, str]] = {
    "cmd_id": (
        "#/cmd_id",
        "Chosen by the client; a command that is sent again keeps its own, is done once, and gets the same answer.",
    ),
    "nonce": ("#/nonce", "A PONG carries the nonce of its PING."),
}
"""Place in the payload and meaning, per key that ties an answer to its question."""

ALWAYS_JSON = ("HELLO", "WELCOME", "REJECT", "live")
"""Sent where no encoding is agreed."""


@dataclass(frozen=True)
class Channel:
    """Messages that belong together; `servers` are names of `SERVERS`."""

    title: str
    description: str
    messages: tuple[str, ...]
    servers: tuple[str, ...] = ("local", "keyed")


@dataclass(frozen=True)
class Operation:
    """The edge receives or sends any one of `messages`; what it receives is answered by any one of `reply`."""

    action: Literal["receive", "send"]
    channel: str
    summary: str
    messages: tuple[str, ...]
    reply: tuple[str, ...] = ()


CHANNELS: dict[str, Channel] = {
    "control": Channel(
        "Sessions and commands",
        "Everything that is not a record, on the same ROUTER socket as the channel `results`: ZeroMQ has no addresses inside a "
        "socket, the `type` of a message says what it is.",
        (
            *("HELLO", "WELCOME", "REJECT", "PING", "PONG"),
            *("RUN_START", "TRIGGER", "RUN_STOP", "PAUSE", "CONTINUE", "ABORT"),
            *("ACCEPTED", "REJECTED", "CREDIT", "QUERY", "STATE"),
        ),
    ),
    "results": Channel(
        "Journalled records",
        "The records of runs, sent in the order of `seq` and only as far as the newest ACK gives credit, on the same ROUTER "
        "socket as the channel `control`.",
        ("ACK", "run_start", "field", "advice", "event", "run_stop", "REJECT"),
    ),
    "telemetry": Channel(
        "How the edge stands",
        "Lossy by design, for looking and never for counting: a newer message replaces the older one whole.",
        ("live",),
        servers=("telemetry",),
    ),
}

OPERATIONS: dict[str, Operation] = {
    "receiveHello": Operation("receive", "control", "A client opens its session.", ("HELLO",), ("WELCOME", "REJECT")),
    "receiveRunStart": Operation(
        "receive", "control", "The controller starts a run.", ("RUN_START",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receiveTrigger": Operation(
        "receive", "control", "The controller announces an exposure.", ("TRIGGER",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receiveRunStop": Operation(
        "receive", "control", "The controller stops a run.", ("RUN_STOP",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receivePause": Operation(
        "receive", "control", "The controller holds a run.", ("PAUSE",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receiveContinue": Operation(
        "receive", "control", "The controller ends the pause of a run.", ("CONTINUE",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receiveAbort": Operation(
        "receive", "control", "The controller ends a run at once.", ("ABORT",), ("ACCEPTED", "REJECTED", "REJECT")
    ),
    "receiveQuery": Operation(
        "receive", "control", "A client asks how runs stand.", ("QUERY",), ("STATE", "REJECTED", "REJECT")
    ),
    "receivePing": Operation("receive", "control", "A client asks whether the edge is there.", ("PING",), ("PONG", "REJECT")),
    "sendPing": Operation("send", "control", "The edge asks whether a client is there, once a second.", ("PING",), ("PONG",)),
    "sendCredit": Operation("send", "control", "More triggers may be announced.", ("CREDIT",)),
    "sendReject": Operation("send", "control", "A message could not be used, or the session has ended.", ("REJECT",)),
    "receiveAck": Operation(
        "receive", "results", "A client acknowledges records and gives credit; answered only when it cannot be used.", ("ACK",)
    ),
    "sendLive": Operation("send", "telemetry", "The newest state, for whoever listens.", ("live",)),
    "sendRecords": Operation("send", "results", "The records of a run.", ("run_start", "field", "advice", "event", "run_stop")),
}


def asyncapi() -> Document:
    """The document as a dictionary; payloads refer to `schemas/*.schema.json` beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "leukostream edge",
            "version": f"{PROTOCOL_VERSION}.0.0",
            "description": (
                "The wire protocol between `leuko-edge run` and a scanner's controller, from the edge's view. protocol.md "
                "describes it in words, vectors/index.json lists golden vectors. Payloads are JSON Schema 2020-12. Unless a "
                f"message is always JSON, it may come as MessagePack ({MSGPACK}) of the same dictionary, as HELLO and WELCOME "
                "agree. A receiver ignores keys that it does not know."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": SERVERS,
        "channels": {name: _channel(channel) for name, channel in CHANNELS.items()},
        "operations": {name: _operation(operation) for name, operation in OPERATIONS.items()},
        "components": {
            "messages": _messages(),
            "securitySchemes": SECURITY,
            "correlationIds": {
                name: {"location": f"$message.payload{place}", "description": meaning}
                for name, (place, meaning) in CORRELATIONS.items()
            },
        },
    }


def asyncapi_file() -> bytes:
    """The document as YAML, with the same bytes for the same models."""
    # Through JSON, so that tuples are lists and nothing is shared, which YAML would write as an alias.
    plain = json.loads(json.dumps(asyncapi()))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated by `make schemas`.\n{text}".encode()


def _channel(channel: Channel) -> Document:
    return {
        "title": channel.title,
        "description": channel.description,
        "servers": [{"$ref": f"#/servers/{name}"} for name in channel.servers],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
    }


def _operation(operation: Operation) -> Document:
    channel = f"#/channels/{operation.channel}"
    described: Document = {
        "action": operation.action,
        "channel": {"$ref": channel},
        "summary": operation.summary,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in operation.messages],
    }
    if operation.reply:
        described["reply"] = {
            "channel": {"$ref": channel},
            "messages": [{"$ref": f"{channel}/messages/{name}"} for name in operation.reply],
        }
    return described


def _messages() -> dict[str, Document]:
    """One per wire type; PING and PONG are the same in both directions."""
    found: dict[str, Document] = {}
    for direction in DIRECTIONS:
        schema = direction.adapter.json_schema(mode="serialization")
        for kind, model in direction.models.items():
            inner = f"/$defs/{model.__name__}" if model.__name__ in schema.get("$defs", {}) else ""
            payload = f"./schemas/{direction.name}.schema.json#{inner}"
            found.setdefault(kind, _message(kind, inspect.getdoc(model) or "", payload, direction))
    return found


def _message(kind: str, doc: str, payload: str, direction: Direction) -> Document:
    model = direction.models[kind]
    summary, *rest = [" ".join(part.split()) for part in doc.split("\n\n")]
    described: Document = {"name": kind, "title": kind, "summary": summary}
    if rest:
        described["description"] = "\n\n".join(rest)
    described["contentType"] = JSON
    if kind not in ALWAYS_JSON:
        described["x-alternative-content-type"] = MSGPACK
    for key in CORRELATIONS:
        if key in model.model_fields:
            described["correlationId"] = {"$ref": f"#/components/correlationIds/{key}"}
    described["payload"] = {"$ref": payload}
    examples = {name: message for name, message in direction.vectors.items() if wire_type(message) == kind}
    described["examples"] = [
        {"name": name, "payload": json.loads(encode(message, "json"))} for name, message in list(examples.items())[:_EXAMPLES]
    ]
    return described
