"""Chosen thresholds for people and for scripts."""

from pathlib import Path

from rich.table import Table

from calib.operating_points import Share
from calib.score_calibration import ScoreCalibration
from calib.threshold_choice import ThresholdChoice
from calib.threshold_profile import SHARES
from edge.contracts.bundle import Thresholds


def share_table(choice: ThresholdChoice) -> Table:
    """What the chosen thresholds do on images the choice did not see, beside the bundle's own."""
    table = Table(title="on images that the choice did not see (95 % limits)")
    table.add_column("share")
    table.add_column("bundle's own thresholds", justify="right")
    table.add_column("chosen", justify="right")
    for name, words in SHARES.items():
        table.add_row(words, _share(choice.own_shares[name]), _share(choice.shares[name]))
    return table


def class_table(choice: ThresholdChoice, own: Thresholds) -> Table:
    """Every class that was annotated or counted, with what was chosen for it, or why nothing was."""
    table = Table(title=f"presence: {choice.thresholds.detect:.2f} (bundle: {own.detect:.2f}); class scores:")
    for name in ("class", "annotated", "called so", "score", ""):
        table.add_column(name, justify="left" if name in {"class", ""} else "right")
    for one in choice.classes:
        if not one.annotated and not one.called:
            continue
        enough = "" if one.wanted is None or one.wanted <= one.called else f"; beyond doubt from {one.wanted} cells"
        said = {
            "chosen": f"chosen{enough}",
            "too few": "too few cells; the bundle's own",
            "not reached": "no score is precise enough; the bundle's own",
        }
        table.add_row(one.name, str(one.annotated), str(one.called), f"{one.identify:.2f}", said[one.state])
    return table


def calibration_line(told: ScoreCalibration) -> str:
    """How scores became probabilities; without the full stop."""
    if told.method == "none":
        return (
            f"scores are taken as probabilities: no curve through these {told.cells} cells is better"
            f" (expected error {told.error_before:.3f})"
        )
    return (
        f"scores become probabilities by {told.method} ({told.cells} cells): expected error {told.error_before:.3f} before,"
        f" {told.error_after:.3f} after"
    )


def as_json(choice: ThresholdChoice, written: Path, digest: str, picture: Path | None) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    calibration = choice.calibration
    return {
        "thresholds": choice.thresholds.model_dump(),
        "classes": [
            {
                "name": one.name,
                "annotated": one.annotated,
                "called": one.called,
                "state": one.state,
                "identify": one.identify,
                "cells_wanted": one.wanted,
            }
            for one in choice.classes
        ],
        "shares": {name: _plain(share) for name, share in choice.shares.items()},
        "own_shares": {name: _plain(share) for name, share in choice.own_shares.items()},
        "calibration": calibration
        and {
            "method": calibration.method,
            "cells": calibration.cells,
            "expected_error_before": calibration.error_before,
            "expected_error_after": calibration.error_after,
        },
        "no_calibration_because": choice.why_not or None,
        "picture": picture and str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def _plain(share: Share) -> dict[str, object]:
    return {"hits": share.hits, "trials": share.trials, "share": share.value, "limits": share.limits}


def _share(share: Share) -> str:
    if share.value is None or share.limits is None:
        return "none to tell by"
    return f"{share.value:.1%} ({share.limits[0]:.1%} to {share.limits[1]:.1%}) of {share.trials}"
