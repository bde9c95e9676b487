"""The page as an ASGI application: static files, a stream of states, pictures, and reviews for who has the token."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from edge.contracts.errors import LeukoError
from edge.reports.added_cells import PLACE
from edge.reports.review_sheet import VERDICTS
from edge.view.page_guard import has_token
from edge.view.watched_edge import WatchedEdge

_PAGE = Path(__file__).parent / "page"
_EVERY_S = 0.25
_ALIVE_S = 5.0
_MOST_VIEWERS = 16
_BODY_BYTES = 1 << 14
_SAYS = ("cell", "label", "who", "why")


class _Page:
    """The answers. `leaving` is set when the process is to end, so that no stream keeps it."""

    def __init__(self, edge: WatchedEdge, token: str | None, leaving: threading.Event) -> None:
        self._edge, self._token, self._leaving = edge, token, leaving
        self._viewers = 0

    async def index(self, _: Request) -> Response:
        return HTMLResponse((_PAGE / "index.html").read_text(encoding="utf-8"))

    async def state(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._edge.state))

    async def events(self, _: Request) -> Response:
        if self._viewers >= _MOST_VIEWERS:
            return PlainTextResponse(f"{_MOST_VIEWERS} pages are open already; close one.\n", 503)
        return StreamingResponse(self._states(), media_type="text/event-stream")

    async def _states(self) -> AsyncIterator[str]:
        """The state as often as it changes, at most four times a second; a comment when it does not."""
        self._viewers += 1
        try:
            shown, quiet_s = "", 0.0
            while not self._leaving.is_set():
                state = json.dumps(await run_in_threadpool(self._edge.state))
                if state != shown:
                    shown, quiet_s = state, 0.0
                    yield f"data: {state}\n\n"
                elif quiet_s >= _ALIVE_S:
                    quiet_s = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(_EVERY_S)
                quiet_s += _EVERY_S
        finally:
            self._viewers -= 1

    async def map(self, _: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(self._edge.map))

    async def gallery(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._edge.gallery) | {"verdicts": list(VERDICTS)})

    async def field(self, request: Request) -> Response:
        return _jpeg(
            await run_in_threadpool(self._edge.field_picture, request.query_params.get("run", ""), request.path_params["n"])
        )

    async def look(self, request: Request) -> Response:
        run_id, index = request.query_params.get("run", ""), request.path_params["n"]
        found = await run_in_threadpool(self._edge.field_look, run_id, index)
        return JSONResponse(found) if found is not None else _refusal(f"the run has no field {index}, or has not ended.", 404)

    async def crop(self, request: Request) -> Response:
        return _jpeg(
            await run_in_threadpool(self._edge.crop_picture, request.query_params.get("run", ""), request.path_params["n"])
        )

    async def review(self, request: Request) -> Response:
        if (refusal := self._may_not_write(request)) is not None:
            return refusal
        said = await _said(request)
        if said is None:
            return _refusal("a review has the texts run_id, cell, label, who and, if wanted, why.", 400)
        if not said["who"]:
            return _refusal("a review needs a name: say who you are.", 400)
        run_id = said.pop("run_id")
        try:
            number = await run_in_threadpool(self._edge.review, run_id, said)
        except LeukoError as problem:
            return _refusal(str(problem), 409)
        return JSONResponse({"appended": number})

    def _may_not_write(self, request: Request) -> Response | None:
        if self._token is None:
            return _refusal("this page is read-only; start `leuko-edge view` with --token FILE to review cells.", 403)
        if not has_token(request, self._token):
            return _refusal("the token is not the one that `leuko-edge view` was started with.", 401)
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refusal("a review is JSON.", 415)
        return None


async def _said(request: Request) -> dict[str, str] | None:
    """The texts of a review, or None when it is none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_BYTES:
            return None
    try:
        given: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    said = {name: given.get(name, "") for name in ("run_id", *_SAYS, *PLACE)}
    if not all(isinstance(text, str) for text in said.values()) or not (said["run_id"] and said["cell"] and said["label"]):
        return None
    return {name: text.strip() for name, text in said.items()}


def _jpeg(content: bytes | None) -> Response:
    return (
        PlainTextResponse("there is no picture of it.\n", 404)
        if content is None
        else Response(content, media_type="image/jpeg")
    )


def _refusal(text: str, code: int) -> Response:
    return JSONResponse({"error": text}, code)


def page_app(edge: WatchedEdge, token: str | None, leaving: threading.Event) -> Starlette:
    """What is served. With a `token`, who bears it may review cells; without, nobody may write."""
    page = _Page(edge, token, leaving)
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/state", page.state),
            Route("/events", page.events),
            Route("/map", page.map),
            Route("/gallery", page.gallery),
            Route("/field/{n:int}", page.field),
            Route("/look/{n:int}", page.look),
            Route("/crop/{n:int}", page.crop),
            Route("/reviews", page.review, methods=["POST"]),
            Mount("/page", StaticFiles(directory=_PAGE)),
        ]
    )
