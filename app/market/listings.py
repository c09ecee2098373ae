"""The configured accounts enter; a record for each instrument stands on `instruments`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.core.events import Account, Listing, Message
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Log, Place

TOPIC = "instruments"


async def publish(log: Log, accounts: Iterable[Account], interval: int) -> list[Listing]:
    """Append the listings that changed; return them. `interval` is in milliseconds.

    Configuration becomes a record here and nowhere else. An account that changed gets the next
    number; an instrument that nobody trades any more gets a listing without accounts.
    """
    standing = await read(log)
    changed = [
        listing
        for listing in wanted(tuple(accounts), interval, standing)
        if standing.get(listing.instrument) != listing
    ]
    await log.append(
        [Entry(TOPIC, listing.instrument.encode(), encode(Message(listing))) for listing in changed]
    )
    return changed


async def read(log: Log) -> dict[str, Listing]:
    """Return the listings that stand, by instrument."""
    standing: dict[str, Listing] = {}
    for number in range(await log.partitions(TOPIC)):
        for stored in await log.read(Place(TOPIC, number)):
            record = decode(stored.value or b"").record
            if isinstance(record, Listing):
                standing[record.instrument] = record
    return standing


def wanted(
    accounts: tuple[Account, ...], interval: int, standing: Mapping[str, Listing]
) -> list[Listing]:
    """Return a listing for every instrument that is traded, or was."""
    numbers = _numbers(accounts, standing)
    instruments = sorted({name for account in accounts for name in account.instruments})
    retired = sorted(set(standing) - set(instruments))
    return [
        Listing(instrument, traders, tuple(numbers[trader.name] for trader in traders), interval)
        for instrument in [*instruments, *retired]
        if (traders := tuple(a for a in accounts if instrument in a.instruments)) is not None
    ]


def _numbers(accounts: tuple[Account, ...], standing: Mapping[str, Listing]) -> dict[str, int]:
    """Return each account's configuration number: one higher where it changed."""
    known: dict[str, tuple[int, Account]] = {}
    for listing in standing.values():
        for number, account in zip(listing.numbers, listing.accounts, strict=True):
            known[account.name] = max(
                known.get(account.name, (0, account)), (number, account), key=lambda pair: pair[0]
            )
    numbers = {}
    for account in accounts:
        number, before = known.get(account.name, (0, None))
        numbers[account.name] = number if before == account else number + 1
    return numbers
