"""Texts of a request enter; typed and ranged values leave, or what is wrong with one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator, Field

from app.core.events.checks import KEY, LATEST_TIME
from app.dashboard.history.bars import DAY, MOST_BARS
from app.times import parse_duration, parse_time

_MOMENT = "Milliseconds since the epoch UTC, or RFC 3339."


def _moment(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


def _length(value: object) -> object:
    if isinstance(value, str) and not value.isdigit():
        return parse_duration(value)
    return value


Moment = Annotated[
    Annotated[int, BeforeValidator(_moment), Field(ge=0, le=LATEST_TIME)] | None,
    Query(description=_MOMENT),
]
From = Annotated[
    Annotated[int, BeforeValidator(_moment), Field(ge=0, le=LATEST_TIME)] | None,
    Query(alias="from", description=_MOMENT),
]
Length = Annotated[
    Annotated[int, BeforeValidator(_length), Field(ge=1, le=7 * DAY)] | None,
    Query(description="A bar's length, milliseconds or such as 5m, 4h, 1d."),
]
Points = Annotated[int, Query(ge=2, le=MOST_BARS, description="How many fit the screen.")]
Name = Annotated[str, Query(pattern=f"^{KEY.pattern}$", max_length=100)]
NameOrNone = Annotated[str | None, Query(pattern=f"^{KEY.pattern}$", max_length=100)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="The most rows.")]
Before = Annotated[
    str | None, Query(max_length=2_000, description="The `next` of the page before.")
]
