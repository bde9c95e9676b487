"""A bundle on an inference server: what it is called there, and what the edge keeps of the gate that the server has passed.

A server is asked for one model and version, which both are the bundle's id, so that none of another bundle can answer. What
stands behind them is not to be seen from here; hence `leuko-build verify --server` compares it with the bundle's graph, and
leaves among the bundle's engines, in a folder named by what the server says it is:

    served.json    that, and the answer to one field
    parity.json    the report
    field.npy      the field, uint8 [1, H, W, 3]

A run asks for that field first: a server that has become another since, or whose weights have, is refused.
"""

import hashlib
import json

from pydantic import Field

from edge.contracts.base import Sha256, Strict

_SERVED = "served-"

SERVED = "served.json"
FIELD = "field.npy"
SCORES_MAY_DIFFER = 0.02
"""An engine's batches and a server's other load change the order of its sums, and with it the last digits of FP16."""


def model_name(bundle_id: str) -> str:
    """What a bundle is called on a server."""
    return f"leuko-{bundle_id}"


def model_version(bundle_id: str) -> int:
    """Its version there, a positive 64-bit number: the first 15 hexadecimal digits of the bundle's id."""
    return int(bundle_id[:15], 16) or 1


class ServedIdentity(Strict):
    """What a server says of itself and of the model, as far as it decides what is computed."""

    server: str
    server_version: str
    model: str
    version: str
    platform: str
    configuration: dict[str, str] = Field(
        description="parts of the model's configuration, as JSON; empty where the server does not tell"
    )

    def sha256(self) -> str:
        """Hex SHA-256 of all of it as canonical JSON; a run's provenance has it in the place of a compiled engine's."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def key(self, frame_width_px: int, frame_height_px: int) -> str:
        """Name of its folder among the engines."""
        words = "".join(each if each.isalnum() else "-" for each in self.server.lower())[:20]
        return f"{_SERVED}{words}-{frame_width_px}x{frame_height_px}-{self.sha256()[:12]}"


def is_served(engine_key: str | None) -> bool:
    """Whether an engine that calls itself so is a server's, and none of this machine."""
    return engine_key is not None and engine_key.startswith(_SERVED)


class ServedAnswer(Strict):
    """The content of `served.json`: who answered, and what, to one field of the gate's."""

    schema_version: int = 1
    bundle_id: Sha256
    identity: ServedIdentity
    field_sha256: Sha256 = Field(description="of field.npy")
    scores: tuple[float, ...] = Field(description="the highest, descending")
