"""A measured run enters; its report leaves: JSON, one HTML page, CSV files, a terminal summary."""

from __future__ import annotations

from app.report.compare import Comparison, ComparisonError, compare, comparison_document
from app.report.compare_page import comparison_page
from app.report.csv_files import FILES, CsvFiles, write_trips
from app.report.document import document
from app.report.page import page
from app.report.run import Input, Report, RunInfo
from app.report.terminal import print_summary
from app.report.writing import WRITTEN, write_report

__all__ = [
    "FILES",
    "WRITTEN",
    "Comparison",
    "ComparisonError",
    "CsvFiles",
    "Input",
    "Report",
    "RunInfo",
    "compare",
    "comparison_document",
    "comparison_page",
    "document",
    "page",
    "print_summary",
    "write_report",
    "write_trips",
]
