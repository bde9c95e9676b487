"""One field of a run that has ended, as the page shows it: its cells as people call them now, and added ones."""

from collections import Counter
from typing import Any

from edge.reports.run_report import Report


def field_state(report: Report, field_index: int) -> dict[str, Any] | None:
    """In the shape of the page's last field; None where the run has no such field."""
    one = next((field for field in report.fields if field.field_index == field_index), None)
    if one is None:
        return None
    cells = [cell for cell in report.cells if cell.field_index == field_index]
    indices = sorted(field.field_index for field in report.fields)
    at = indices.index(field_index)
    return {
        "run_id": report.run_id,
        **one.model_dump(mode="json", include={"trigger_id", "field_index", "status", "detail", "overflow"}),
        **one.model_dump(mode="json", include={"width_px", "height_px", "source_name", "bad"}),
        "counts": dict(Counter(cell.label_now for cell in cells if cell.label_now is not None)),
        "before": indices[at - 1] if at else None,
        "after": indices[at + 1] if at + 1 < len(indices) else None,
        "may_add": one.counted and not one.replaced and not one.left_out,
        "cells": [
            {
                "id": cell.id,
                "label": cell.label_now or cell.label,
                "score": None if cell.added else cell.score,
                "box_px": cell.box_px,
                "rejected": cell.label_now is None,
                "added": cell.added,
            }
            for cell in cells
        ],
    }
