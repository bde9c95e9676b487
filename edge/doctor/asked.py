"""What `leuko-edge doctor` is asked about: the bundle that would serve by the settings stated, or one that is named."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.contracts.errors import LeukoError
from edge.doctor.diagnosis import Question
from edge.doctor.diagnosis_text import question_of
from edge.service.serving_setup import Serving, Stated
from edge.settings import SHIPPED_BUNDLE
from edge.watch.settings_text import NO_SOURCE


def asked(
    given: Mapping[str, Any],
    config: Path | None,
    environment: Mapping[str, str],
    bundle: Path | None,
    frame_px: tuple[int, int] | None,
    max_batch: int | None,
) -> Question:
    """Settings that cannot be used are an answer, too. `max_batch` None: what file and environment say, else any."""
    stated = Stated(given, config, environment, NO_SOURCE)
    try:
        serving = stated.serving() if bundle is None else _of(bundle, stated)
    except LeukoError as problem:
        return Question(bundle or SHIPPED_BUNDLE, engine_dir=given.get("engine_dir"), problem=problem)
    question = question_of(serving.setup, serving.why, frame_px)
    said = serving.setup.settings.max_batch if "max_batch" in serving.setup.origins else None
    return replace(question, max_batch=max_batch or said)


def _of(bundle: Path, stated: Stated) -> Serving:
    """That bundle, and whether it is the one that serves."""
    setup, serving = stated.with_bundle(bundle), None
    with suppress(LeukoError):  # what serves was not asked
        serving = stated.serving()
    if serving is None or not serving.why or serving.setup.bundle.bundle_id == setup.bundle.bundle_id:
        return Serving(setup, serving.why if serving is not None else "")
    return Serving(setup, f"not this one, which was asked about: {serving.why}")
