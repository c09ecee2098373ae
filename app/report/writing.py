"""A report and a folder enter; report.html, report.json and trips.csv in it leave."""

from __future__ import annotations

from pathlib import Path

from app.report.csv_files import TRIPS, write_trips
from app.report.document import document
from app.report.page import page
from app.report.run import Report

HTML, JSON = "report.html", "report.json"
WRITTEN = (HTML, JSON, TRIPS)
"""What `write_report` writes; the other CSV files are written while a run goes on."""


def write_report(folder: Path, report: Report) -> None:
    """Write the report into a folder that exists, over an older one; raises OSError."""
    (folder / JSON).write_bytes(document(report))
    (folder / HTML).write_bytes(page(report))
    write_trips(folder, report.summary.accounts)
