"""A report enters; `report.json` leaves: one document, the same bytes for the same run.

Decimals are strings in plain notation, times RFC 3339 UTC, durations milliseconds, shares and
ratios numbers of twelve significant digits, what is not defined null with its reason beside it.
`docs/metrics.md` describes every field.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from app.core.decimals import plain
from app.core.events import Gap
from app.core.metrics import DEFINITIONS, AccountSummary, Drawdown, Trip, Unit
from app.core.metrics.book import PlacedOrder, Refused
from app.core.metrics.figure import Figures
from app.core.metrics.parts import Part
from app.core.metrics.prices import PriceRecord
from app.report.charts.columns import pick
from app.report.run import Report
from app.times import format_time

SCHEMA = "lockstep-report-1"
CURVE_POINTS = 1000
LISTED_TRIPS = 10_000


def document(report: Report) -> bytes:
    """Return `report.json`, indented, with a line end."""
    return dump(content(report))


def dump(whole: dict[str, Any]) -> bytes:
    """Return a document's bytes."""
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def content(report: Report) -> dict[str, Any]:
    """Return the document as JSON can hold it."""
    info = report.info
    return {
        "schema": SCHEMA,
        "title": info.title,
        "run": info.run,
        "code": info.code,
        "inputs": [dataclasses.asdict(each) for each in info.inputs],
        "warnings": list(report.warnings()),
        "files": list(info.files),
        "accounts": [account(each) for each in report.summary.accounts],
        "instruments": [_price(name, each) for name, each in report.summary.prices.items()],
    }


def account(summary: AccountSummary) -> dict[str, Any]:
    """Return one account's part of the document."""
    return {
        "name": summary.name,
        "quote": summary.quote,
        "from": format_time(summary.start),
        "to": format_time(summary.end),
        "decisions": summary.decisions,
        "interval": summary.conditions.interval,
        "version": summary.conditions.version,
        "sampling": _sampling(summary),
        "figures": figures(summary.figures),
        "buy_and_hold": figures(summary.benchmark),
        "undefined": _undefined(summary.figures),
        "drawdowns": [_drawdown(each) for each in summary.drawdowns],
        "months": [
            {"month": f"{each.year:04d}-{each.month:02d}", "return": number(each.value)}
            for each in summary.months
        ],
        "strategies": [_part(each) for each in summary.strategies],
        "instruments": [_part(each) for each in summary.instruments],
        "strategies_in_instruments": [_part(each) for each in summary.pairs],
        "trips": [trip(each) for each in summary.trips[:LISTED_TRIPS]],
        "trips_left_out": max(0, len(summary.trips) - LISTED_TRIPS),
        "open_trips": [trip(each) for each in summary.open_trips],
        "refusals": [_refused(each) for each in summary.activity.refused],
        "halts": [plainly(each) | {"type": each.TYPE} for each in summary.activity.halts],
        "rolling_sharpe": [
            {"time": format_time(time), "value": number(value)} for time, value in summary.rolling
        ],
        "curve": _curve(summary),
        "configuration": plainly(summary.conditions.account),
        "configurations": summary.conditions.epochs,
        "filters": {name: plainly(each) for name, each in summary.conditions.filters.items()},
        "unbooked_fills": summary.activity.unbooked,
    }


def number(value: float | None) -> float | None:
    """Return a float with twelve significant digits, so that no machine's last bit shows."""
    return None if value is None else float(f"{value:.12g}")


def figures(found: Figures) -> dict[str, Any]:
    """Return figures by key; none where one is not defined."""
    return {key: _value(key, each.value) for key, each in found.items()}


def plainly(record: Any) -> dict[str, Any]:
    """Return a dataclass as JSON can hold it; `time` and other times as RFC 3339."""
    return {
        field.name: _plain(field.name, getattr(record, field.name))
        for field in dataclasses.fields(record)
    }


def order(each: PlacedOrder) -> dict[str, Any]:
    """Return an order."""
    return plainly(each)


def trip(each: Trip) -> dict[str, Any]:
    """Return a round trip."""
    return plainly(each)


def _value(key: str, value: Decimal | float | None) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if value is None or DEFINITIONS[key].unit in (Unit.COUNT, Unit.DURATION):
        return value
    return format_time(int(value)) if DEFINITIONS[key].unit is Unit.TIME else number(value)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return plainly(value)
    if isinstance(value, tuple):
        return [_plain("", each) for each in value]
    if isinstance(value, int) and (name == "time" or name.endswith("_time")):
        return format_time(value)
    return number(value) if isinstance(value, float) else value


def _sampling(summary: AccountSummary) -> dict[str, Any]:
    return {
        "name": summary.sampling.name,
        "period": summary.sampling.period,
        "per_year": number(summary.sampling.per_year),
        "samples": summary.samples,
        "window": summary.sampling.window,
        "risk_free": number(summary.risk_free),
    }


def _undefined(found: Figures) -> dict[str, str]:
    return {key: each.reason for key, each in found.items() if each.value is None}


def _drawdown(each: Drawdown) -> dict[str, Any]:
    return {
        "depth": number(each.depth),
        "start": format_time(each.start),
        "trough": format_time(each.trough),
        "recovery": None if each.recovery is None else format_time(each.recovery),
        "length": each.length,
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "strategy": part.strategy,
        "instrument": part.instrument,
        "figures": figures(part.figures),
        "undefined": _undefined(part.figures),
    }


def _refused(each: Refused) -> dict[str, Any]:
    return {
        "limit": each.limit.value,
        "refused": each.refused,
        "cut": each.cut,
        "example": each.example,
    }


def _curve(summary: AccountSummary) -> dict[str, Any]:
    """Return the curves at no more than CURVE_POINTS evenly picked decision times."""
    paths = summary.paths
    chosen = pick(len(paths.time), CURVE_POINTS)
    return {
        "time": [format_time(int(paths.time[each])) for each in chosen],
        "equity": [number(float(paths.equity[each])) for each in chosen],
        "buy_and_hold": [number(float(paths.benchmark[each])) for each in chosen],
        "gross": [number(float(paths.gross[each])) for each in chosen],
        "of": len(paths.time),
    }


def _price(name: str, price: PriceRecord) -> dict[str, Any]:
    return {
        "name": name,
        "candles": price.candles,
        "incomplete": price.incomplete,
        "empty": price.empty,
        "revisions": price.revised,
        "late_trades": price.late,
        "gaps": [_gap(each) for each in price.gaps.values()],
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "first_id": gap.first_id,
        "last_id": gap.last_id,
        "from": format_time(gap.from_time),
        "to": format_time(gap.to_time),
        "reason": gap.reason,
    }
