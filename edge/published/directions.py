"""What is published, in one table: each direction of the wire, the models that cross it, and their golden vectors.

A new message goes into its union in `contracts/messages.py` and gets a vector; a new socket gets a row here, and a channel with
its operations in `asyncapi.py`. Everything else of the published protocol follows.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import TypeAdapter

from edge.contracts.base import Wire
from edge.contracts.messages import FROM_EDGE, TELEMETRY, TO_EDGE, FromEdge, Live, ToEdge
from edge.published.vectors_from_edge import FROM_EDGE_VECTORS
from edge.published.vectors_telemetry import TELEMETRY_VECTORS
from edge.published.vectors_to_edge import TO_EDGE_VECTORS
from edge.stream.codec import decode_from_edge, decode_telemetry, decode_to_edge


@dataclass(frozen=True)
class Direction:
    """`name` is that of its schema and of its folder of vectors; `models` is every message by its `type`."""

    name: str
    title: str
    adapter: TypeAdapter[Any]
    models: Mapping[str, type[Wire]]
    vectors: Mapping[str, Wire]
    decode: Callable[[bytes], Wire]


def wire_type(message: Wire | type[Wire]) -> str:
    """The `type` that a message or model has on the wire."""
    model = message if inspect.isclass(message) else type(message)
    return str(model.model_fields["type"].default)


def by_type(*models: type[Wire]) -> dict[str, type[Wire]]:
    """Model per wire type, in the order given."""
    return {wire_type(model): model for model in models}


DIRECTIONS: tuple[Direction, ...] = (
    Direction(
        name="to_edge",
        title="Messages a controller or observer sends to the edge",
        adapter=TO_EDGE,
        models=by_type(*get_args(get_args(ToEdge)[0])),
        vectors=TO_EDGE_VECTORS,
        decode=decode_to_edge,
    ),
    Direction(
        name="from_edge",
        title="Messages and records the edge sends",
        adapter=FROM_EDGE,
        models=by_type(*get_args(get_args(FromEdge)[0])),
        vectors=FROM_EDGE_VECTORS,
        decode=decode_from_edge,
    ),
    Direction(
        name="telemetry",
        title="What the edge publishes on its telemetry socket",
        adapter=TELEMETRY,
        models=by_type(Live),
        vectors=TELEMETRY_VECTORS,
        decode=decode_telemetry,
    ),
)
