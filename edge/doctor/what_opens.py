"""What a run would open; where a server is to compute, that is asked what it is, and computes nothing for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError, EngineError, LeukoError, first_line
from edge.contracts.missing_parts import not_installed
from edge.doctor.facts import Fact
from edge.engine.survey import Wanted
from edge.settings import EdgeSettings

if TYPE_CHECKING:
    from edge.engine.remote.served_look import ServedLook

SERVER = "inference server"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a run would open, or `problem`: why nothing. `key` is that of a compiled engine."""

    text: str = ""
    runtime: str | None = None
    key: str | None = None
    problem: LeukoError | None = None


def opening_on_server(
    settings: EdgeSettings, bundle: Bundle, wanted: Wanted, here: Opening
) -> "tuple[Fact, Opening, ServedLook | None]":
    """What the server of these settings is, and what a run would open: it, or `here` where that is asked for as its fallback.
    Last, the server that would compute; None where it would not.

    Never raises. A gate that was not passed is no reason to fall back, as in a run."""
    try:
        if settings.signers is not None:
            raise ConfigError("what a server computes with cannot be signed; leave out --server, or --signers.")
        from edge.engine.remote import server_of  # noqa: PLC0415 its client is an extra
        from edge.engine.remote.served_look import look_at_server  # noqa: PLC0415 as above

        server = server_of(settings)
    except Exception as problem:  # noqa: BLE001 what would stop a run is the answer
        return (*_refused(problem, settings), None)
    size_px = wanted.frame_width_px, wanted.frame_height_px
    try:
        served = look_at_server(bundle, size_px, server, settings.engine_dir)
    except EngineError as problem:
        fact, opening = _refused(problem, settings)
        if not settings.server_fallback or here.problem is not None:
            return fact, opening, None
        text = f"{here.text}, as --server-fallback asks: the server cannot be used"
        return fact, Opening(text, here.runtime, here.key), None
    except Exception as problem:  # noqa: BLE001 see above
        return (*_refused(problem, settings), None)
    if served.refused and not settings.allow_ungated_engine:
        return Fact(SERVER, served.text, usable=False), Opening(problem=EngineError(served.refused)), None
    fallback = f"; where it fails, {here.text}" if settings.server_fallback and here.problem is None else ""
    return Fact(SERVER, served.text), Opening(f"{served.text}{fallback}", served.runtime, served.key), served


def _refused(problem: Exception, settings: EdgeSettings) -> tuple[Fact, Opening]:
    if not isinstance(problem, LeukoError):
        lacks = not_installed(problem, "remote")
        problem = EngineError(lacks or f"inference server {settings.server} cannot be asked ({first_line(problem)}).")
    return Fact(SERVER, str(problem), usable=False), Opening(problem=problem)
