"""What AsyncAPI says beyond the messages: servers, channels, and who sends what in answer to what. From the edge's view."""

from dataclasses import dataclass
from typing import Any, Literal

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
            *("RUN_START", "TRIGGER", "RUN_STOP", "ACCEPTED", "REJECTED", "CREDIT", "QUERY", "STATE"),
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
