"""Dump files and accounts enter; the records of the market they were leave, in event-time order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.core.events import Account, Listing, Message
from app.errors import ConfigurationError
from app.market.importing import Dump, Manner, Timed, market
from app.market.listings import wanted
from app.replay.sources.entering import Entering, merged

TRADES = "trades"


def entering(
    dumps: Sequence[Dump], accounts: Sequence[Account], interval: int, manner: Manner
) -> Iterator[Entering]:
    """Yield what live feeds of these dumps publish, a partition an instrument.

    Args:
        dumps: Every instrument once.
        accounts: Those that trade; each needs the dumps of all its instruments.
        interval: The base interval, milliseconds.
        manner: As for `app.market.importing.market`.

    Raises:
        ConfigurationError: An account or a dump lacks the other.
        DumpError, LockstepError: As `app.market.importing.market`.
    """
    listings = {listing.instrument: listing for listing in wanted(tuple(accounts), interval, {})}
    _check(dumps, accounts, listings)
    return merged(
        [lane(market(dump, listings[dump.instrument], manner), dump.instrument) for dump in dumps]
    )


def lane(records: Iterable[Timed], instrument: str, offset: int = 0) -> Iterator[Entering]:
    """Yield one instrument's records as they would stand in a partition from an offset on."""
    time = 0
    for number, timed in enumerate(records, start=offset):
        time = max(time, timed.time)
        yield Entering(time, TRADES, instrument, Message(timed.record), number)


def _check(
    dumps: Sequence[Dump], accounts: Sequence[Account], listings: dict[str, Listing]
) -> None:
    given = {dump.instrument for dump in dumps}
    if len(given) < len(dumps):
        raise ConfigurationError("an instrument was named twice: give all its files to one name.")
    for name in sorted(given - listings.keys()):
        raise ConfigurationError(
            f"no account trades {name}: add it to the instruments of an account (app.yaml), or "
            f"name one with --account that does."
        )
    for account in accounts:
        for name in account.instruments:
            if name not in given:
                raise ConfigurationError(
                    f"account {account.name} trades {name}, too, and decides nothing without it: "
                    f"give its dump as well, or leave the account out with --account."
                )
