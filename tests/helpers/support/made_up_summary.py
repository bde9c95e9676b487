"""A summary as `leuko-train evaluate --json` prints it, small and made up."""

from typing import Any

from edge.contracts.cells import NAMES

TRUTHS = {"neutrophil_segmented": 40, "lymphocyte": 25, "monocyte": 12, "eosinophil": 3}
"""All other classes have no cell."""


def made_up(**changes: object) -> dict[str, Any]:
    """JSON data of a valid summary, with top-level keys replaced."""
    return {
        "models": [{"name": "tiny", "bundle_id": "ab" * 32, "architecture": "yolov3-tiny", "training_s": 5400.0}],
        "date": "2026-03-01",
        "split": "test",
        "split_by": "given",
        "source": None,
        "engine": "OpenVINO on the CPU",
        "command": "leuko-train evaluate BUNDLE --data data.yaml --root DIR",
        "images": 50,
        "wbc": _figures(80, 0.9),
        "wbc_ap_by_source": {"lab_a": 0.95, "lab_b": 0.85},
        "classes": {name: _figures(TRUTHS.get(name, 0), 0.8 - 0.03 * k) for k, name in enumerate(NAMES)},
        "map": 0.61,
        "map_11_point": 0.6,
        "abnormal": {
            "classes": ["blast", "promyelocyte", "myelocyte", "metamyelocyte", "lymphocyte_reactive"],
            "ap": {},
            "map": None,
            "words": "No class has cells.",
        },
        "counting": {"true": 80, "counted": 84, "mean_absolute_error": 0.12},
        "confusion": _confusion(),
        "confusion_all": _confusion(),
        "subsets": {
            "small_cells": {"rule": "lymphocytes under 9 um", "images": 8, "truth": 9, "map": 0.5, "wbc_ap": 0.8},
            "dense": {"rule": "three cells or more", "images": 0, "truth": 0, "map": None, "wbc_ap": None},
        },
        "time_ms": {
            "engine": {"median": 10.0, "p95": 12.0, "p99": 15.0, "n": 49, "timed": "the engine alone"},
            "whole": {"median": 14.5, "p95": 16.0, "p99": 19.0, "n": 49, "timed": "from the frame in memory to its cells"},
            "on": ["OpenVINO bf16"],
        },
        "limits": {"wbc_ap": [0.85, 0.94], "map": [0.5, 0.7], "rounds": 200, "resampled": "images"},
        "missed": [
            _miss("missed", "lymphocyte", None, None),
            _miss("wrong type", "eosinophil", "neutrophil_segmented", 0.91),
            _miss("false alarm", None, "monocyte", 0.77),
        ],
        **changes,
    }


def _figures(truth: int, ap: float) -> dict[str, Any]:
    if not truth:
        nothing = dict.fromkeys(("ap", "ap_11_point", "recall", "recall_low", "recall_high", "precision", "curve"))
        return {"truth": 0, **nothing}
    recall = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9]
    return {
        "truth": truth,
        "ap": ap,
        "ap_11_point": ap - 0.01,
        "recall": 0.8,
        "recall_low": 0.6,
        "recall_high": 0.92,
        "precision": 0.85,
        "curve": {"recall": recall, "precision": [1.0, 0.98, 0.97, 0.93, 0.85, 0.5], "score": [0.9, 0.8, 0.7, 0.6, 0.4, 0.1]},
    }


def _confusion() -> dict[str, Any]:
    names = list(NAMES[:11])
    columns = [*names, "unidentified", "missed"]
    counts = [[0] * 13 for _ in names]
    for name, n in TRUTHS.items():
        row = counts[names.index(name)]
        row[names.index(name)], row[0], row[-1] = n - 2, 1, 1
    shares = [[n / sum(row) for n in row] if sum(row) else None for row in counts]
    return {
        "classes": names,
        "columns": columns,
        "counts": counts,
        "shares": shares,
        "mean_accuracy": 0.77,
        "mean_accuracy_best_class": 0.8,
        "n": sum(TRUTHS.values()),
    }


def _miss(kind: str, truth: str | None, predicted: str | None, score: float | None) -> dict[str, Any]:
    box = [60.0, 50.0, 110.0, 100.0]
    return {
        "image": "a/1.png",
        "source": "lab_a",
        "box_px": box,
        "truth": truth,
        "predicted": predicted,
        "score": score,
        "kind": kind,
    }
