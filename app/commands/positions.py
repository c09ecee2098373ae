"""Accounts and a time in; what they held then, as the database has it, out."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from app.commands.times import refusing, time_of
from app.errors import ConfigurationError, LockstepError

if TYPE_CHECKING:
    from app.storage.database import Database

BOOK = """
SELECT account, time, cash, equity FROM portfolio p
WHERE ($1::text IS NULL OR account = $1) AND time = (
    SELECT max(time) FROM portfolio f WHERE f.account = p.account AND f.time <= $2::timestamptz)
ORDER BY account
"""
HOLDINGS = """
SELECT strategy, instrument, quantity, cost, mark, realised, unrealised, fees
FROM position_at($1, $2::timestamptz)
"""
EVER = datetime(9999, 1, 1, tzinfo=UTC)
COLUMNS = ("strategy", "instrument", "quantity", "cost", "mark", "realised", "unrealised", "fees")


@click.command()
@click.argument("account", required=False)
@click.option("--at", "moment", help="As they stood at this time, for example 2019-10-11T12:00Z.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def positions(account: str | None, moment: str | None, *, as_json: bool) -> None:
    """Show what the accounts hold."""
    books = asyncio.run(_read(account, _time(moment)))
    if as_json:
        click.echo(json.dumps(books))
        return
    for book in books:
        _show(book)
    if not books:
        raise _missing(account, moment)


def _missing(account: str | None, moment: str | None) -> LockstepError:
    """Return why there is nothing to show, and what to do."""
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.config_sources import suggest  # noqa: PLC0415

    names = [configured.name for configured in load().accounts()]
    if account is not None and account not in names:
        return ConfigurationError(f"there is no account {account!r}{suggest(account, names)}")
    whose = f"account {account} has" if account else "no account has"
    when = f" at {moment} or before" if moment else " yet"
    return LockstepError(
        f"{whose} {'not ' if account else ''}decided anything{when}, as far as the database knows: "
        f"an account decides from its first whole interval on; `lockstep status` shows how far "
        f"the stages and the sink have come."
    )


def _time(text: str | None) -> datetime:
    with refusing("--at"):
        time = time_of(text, "--at")
        return EVER if time is None else datetime.fromtimestamp(time / 1000, UTC)


async def _read(account: str | None, moment: datetime) -> list[dict[str, Any]]:
    import asyncpg  # noqa: PLC0415 - help loads nothing

    from app.config import load  # noqa: PLC0415
    from app.storage.database import Database  # noqa: PLC0415

    settings = load().database.storage()
    async with Database(settings) as database:
        try:
            return await read_books(database, account, moment)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as error:
            raise LockstepError(
                f"the schema {settings.schema} of the database at {settings.place} has no tables "
                f"yet: run `lockstep migrate`."
            ) from error


async def read_books(
    database: Database, account: str | None, moment: datetime
) -> list[dict[str, Any]]:
    """Return each account's portfolio and holdings, decimals as text, times RFC 3339.

    Args:
        database: Where the sink keeps them.
        account: Only this one; none: all.
        moment: The newest decision time not after it counts.
    """
    books = []
    for row in await database.fetch(BOOK, account, moment):
        holdings = await database.fetch(HOLDINGS, row["account"], moment)
        fields = {name: _text(row[name]) for name in ("account", "time", "cash", "equity")}
        held = [{name: _text(holding[name]) for name in COLUMNS} for holding in holdings]
        books.append(fields | {"positions": held})
    return books


def _text(value: object) -> str | None:
    from app.core.decimals import plain  # noqa: PLC0415 - help loads nothing
    from app.times import format_time  # noqa: PLC0415

    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return format_time(round(value.timestamp() * 1000))
    return None if value is None else str(value)


def _show(book: dict[str, Any]) -> None:
    click.echo(f"{book['account']}  {book['time']}  cash {book['cash']}  equity {book['equity']}")
    if not book["positions"]:
        click.echo("  nothing held, and nothing traded so far")
        return
    rows = [[holding[name] or "-" for name in COLUMNS] for holding in book["positions"]]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (list(COLUMNS), *rows):
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)  # noqa: PLR2004 - names, numbers
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  " + "  ".join(cells).rstrip())
