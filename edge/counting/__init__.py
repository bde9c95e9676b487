"""Running counts and the differential with its limits."""

from edge.counting.counts import NON_WBC_LABELS, WBC_LABELS, RunningCounts, clopper_pearson, differential, wbc_total

__all__ = ["NON_WBC_LABELS", "WBC_LABELS", "RunningCounts", "clopper_pearson", "differential", "wbc_total"]
