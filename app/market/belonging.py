"""Dump files and what came before them enter; where they can't be of one market, a sentence leaves.

Ids alone don't tell: those of another market may rise on, too. What tells is the name that the
exchange gives its dumps, that ids rise with time, and that no price is suddenly ten times another.
"""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from app.core.decimals import plain
from app.errors import LockstepError
from app.market.dumps import Aggregate
from app.times import format_time

BACK = 60_000
"""Milliseconds by which a later id may be earlier."""

JUMP = 10
"""Times that a price may be the one before it, or it this one; the exchange's rules allow five."""

_PUBLIC_NAME = re.compile(r"([A-Z0-9]{5,20})-(?:trades|aggTrades)-")


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest trade so far.

    Attributes:
        id: Its id.
        time: Milliseconds since the epoch UTC.
        price: Quote units for one base unit.
    """

    id: int
    time: int
    price: Decimal

    @classmethod
    def of(cls, row: Aggregate) -> Newest:
        """Return what is kept of a trade."""
        return cls(row.id, row.time, row.price)


def named_symbol(path: Path) -> str | None:
    """Return the symbol that a public dump's name tells, or that of the file in an archive."""
    names = [path.name]
    # Whoever reads it says what is wrong with an archive.
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names += archive.namelist()
    return next((found[1] for name in names if (found := _PUBLIC_NAME.match(name))), None)


def check_name(path: Path, symbol: str) -> None:
    """Raise LockstepError where a file's name tells another symbol."""
    named = named_symbol(path)
    if named not in (None, symbol):
        raise LockstepError(
            f"{path} holds trades of {named} by its name, not of {symbol}: correct the file or the "
            f"instrument, or rename the file if its name is wrong."
        )


def check_follows(path: Path, row: Aggregate, before: Newest) -> None:
    """Raise LockstepError where a file's trade can't follow another, though its id does."""
    if row.time < before.time - BACK:
        what = f"the time {format_time(row.time)} after {format_time(before.time)}"
    elif row.price > before.price * JUMP or before.price > row.price * JUMP:
        what = f"the price {plain(row.price)} after {plain(before.price)}"
    else:
        return
    raise LockstepError(
        f"{path} can't be of the same market: its trade {row.id} has {what} of trade {before.id}; "
        f"give one instrument's files, or import into a run of its own (LOCKSTEP_KAFKA__PREFIX)."
    )
