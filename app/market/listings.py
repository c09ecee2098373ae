"""The configured accounts enter; a record for each instrument stands on `instruments`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.core.events import Account, Listing, Message
from app.runtime.admission import admit_for
from app.runtime.codec import encode
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
            # Foreign bytes must not stop a worker that starts; who feeds reports them.
            admitted = admit_for(stored, "listings")
            if isinstance(admitted, Message) and isinstance(admitted.record, Listing):
                standing[admitted.record.instrument] = admitted.record
    return standing


def wanted(
    accounts: tuple[Account, ...], interval: int, standing: Mapping[str, Listing]
) -> list[Listing]:
    """Return a listing for every instrument that is traded, or was."""
    known = _known(standing)
    numbers = {account.name: _number(account, known) for account in accounts}
    instruments = sorted({name for account in accounts for name in account.instruments})
    return [
        _listing(name, accounts, numbers, standing.get(name), interval)
        for name in [*instruments, *sorted(set(standing) - set(instruments))]
    ]


def _listing(
    instrument: str,
    accounts: tuple[Account, ...],
    numbers: Mapping[str, int],
    before: Listing | None,
    interval: int,
) -> Listing:
    traders = tuple(account for account in accounts if instrument in account.instruments)
    now = {trader.name for trader in traders}
    retired = {} if before is None else dict(before.retired) | _numbered(before)
    return Listing(
        instrument,
        traders,
        tuple(numbers[trader.name] for trader in traders),
        interval,
        {name: number for name, number in sorted(retired.items()) if name not in now},
    )


def _known(standing: Mapping[str, Listing]) -> dict[str, tuple[int, Account | None]]:
    """Return each account's highest number so far and, where it still stands, what it meant."""
    known: dict[str, tuple[int, Account | None]] = {}
    for listing in standing.values():
        meanings = {account.name: account for account in listing.accounts}
        for name, number in (listing.retired | _numbered(listing)).items():
            if number >= known.get(name, (0, None))[0]:
                known[name] = (number, meanings.get(name) or known.get(name, (0, None))[1])
    return known


def _numbered(listing: Listing) -> dict[str, int]:
    names = [account.name for account in listing.accounts]
    return dict(zip(names, listing.numbers, strict=True))


def _number(account: Account, known: Mapping[str, tuple[int, Account | None]]) -> int:
    """Return the account's number: one higher than its last where it changed, or came back."""
    number, meant = known.get(account.name, (0, None))
    return number if meant == account else number + 1
