"""How well a run did: records of a run enter, its figures leave, each with its formula."""

from __future__ import annotations

from app.core.metrics.definitions import DEFINITIONS, Definition, Unit
from app.core.metrics.drawdowns import Drawdown
from app.core.metrics.figure import Figure
from app.core.metrics.recording import RunRecords, RunRecordsError
from app.core.metrics.summary import AccountSummary, Summary, measure
from app.core.metrics.trips import Direction, Trip

__all__ = [
    "DEFINITIONS",
    "AccountSummary",
    "Definition",
    "Direction",
    "Drawdown",
    "Figure",
    "RunRecords",
    "RunRecordsError",
    "Summary",
    "Trip",
    "Unit",
    "measure",
]
