"""A query string comes in; typed parameters, or the exchange's error for them, go out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

from multidict import MultiMapping

from app.market.dumps import FIRST_MICROSECONDS
from app.market.exchange.intervals import HOUR, MINUTE, NAMES, Interval

SYMBOL_RANGE = r"^[\w\-._&&[^a-z]]{1,50}$"
_SYMBOL = re.compile(r"[^\Wa-z]|[\w\-.]")
_INTEGER = re.compile(r"[0-9]{1,19}")
_ZONE = re.compile(r"(?P<sign>[+-]?)(?P<hours>\d{1,2})(:(?P<minutes>[0-5]\d))?")
_EARLIEST_ZONE, _LATEST_ZONE = -12 * HOUR, 14 * HOUR


class ApiError(Exception):
    """The exchange's refusal of a request.

    Attributes:
        code: its negative number.
        message: its text.
        status: the HTTP status.
        retry_after: whole seconds for the header of that name, 0 for none.
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after


def illegal(name: str, legal: str) -> ApiError:
    """Return the error for characters that a parameter can't hold."""
    return ApiError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def invalid_combination() -> ApiError:
    """Return the error for parameters that exclude each other."""
    return ApiError(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> ApiError:
    """Return the error for a value out of range."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


class Parameters:
    """The parameters of one request.

    Args:
        query: what was sent.
        allowed: the names the endpoint reads.

    Raises:
        ApiError: a name was sent twice, isn't read, or is empty.
    """

    def __init__(self, query: MultiMapping[str], allowed: Sequence[str]) -> None:
        self._values = dict(query.items())
        if len(self._values) < len(query):
            raise ApiError(-1101, "Duplicate values for a parameter detected.")
        if self._values and not allowed:
            raise ApiError(
                -1101, f"Too many parameters; expected '0' and received '{len(self._values)}'."
            )
        read = len(self._values.keys() & set(allowed))
        if read < len(self._values):
            raise ApiError(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) but was sent "
                f"'{len(self._values)}'.",
            )
        for name, value in self._values.items():
            if not value:
                raise ApiError(-1105, f"Parameter '{name}' was empty.")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a parameter as it was sent, None if it wasn't."""
        return self._values.get(name)

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self._values.get(name)
        if value is None:
            raise ApiError(
                -1102,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
        return value

    def symbol(self) -> str:
        """Return the symbol, spelled right but perhaps not listed."""
        return spelled_symbol("symbol", self.required("symbol"))

    def integer(self, name: str) -> int | None:
        """Return a non-negative whole number, None if it wasn't sent."""
        value = self._values.get(name)
        if value is not None and not _INTEGER.fullmatch(value):
            raise illegal(name, "^[0-9]{1,20}$")
        return None if value is None else int(value)

    def since(self) -> int | None:
        """Return `startTime` in milliseconds, the next whole one if sent in microseconds."""
        value = self.integer("startTime")
        return -(-value // 1000) if value and value >= FIRST_MICROSECONDS else value

    def until(self) -> int | None:
        """Return `endTime` in milliseconds, truncated if sent in microseconds."""
        value = self.integer("endTime")
        return value // 1000 if value and value >= FIRST_MICROSECONDS else value

    def limit(self, default: int, maximum: int) -> int:
        """Return how many rows are wanted; more than the maximum means the maximum."""
        value = self.integer("limit")
        if value == 0:
            raise invalid_data("limit")
        return min(maximum, default if value is None else value)

    def interval(self) -> Interval:
        """Return the candles' interval, with its days beginning as `timeZone` says."""
        name = self.required("interval")
        if name not in NAMES:
            raise ApiError(-1120, "Invalid interval.")
        return Interval(name, self._zone())

    def _zone(self) -> int:
        match = _ZONE.fullmatch(self._values.get("timeZone", "0"))
        if match is None:
            raise invalid_data("timeZone")
        offset = int(match["hours"]) * HOUR + int(match["minutes"] or 0) * MINUTE
        offset = -offset if match["sign"] == "-" else offset
        if not _EARLIEST_ZONE <= offset <= _LATEST_ZONE:
            raise invalid_data("timeZone")
        return offset


def spelled_symbol(name: str, symbol: str) -> str:
    """Return a symbol that is spelled as symbols are.

    Raises:
        ApiError: it holds lowercase Latin letters or other characters that symbols don't.
    """
    good = all(_SYMBOL.fullmatch(letter) and not "a" <= letter <= "z" for letter in symbol)
    if not good or len(symbol) > 50:  # noqa: PLR2004 the range that the message names
        raise illegal(name, SYMBOL_RANGE)
    return symbol
