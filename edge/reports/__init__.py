"""What a run has found, for people and for other programs: from its records alone, so that it can be made again at any time."""

from edge.reports.report_html import html_of
from edge.reports.report_making import report_of
from edge.reports.run_report import Report

__all__ = ["Report", "html_of", "report_of"]
