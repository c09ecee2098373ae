"""A listing and what each account did so far enter; who is to join or leave now leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.core.events import Account, Listing
from app.market.state import AccountJoin, FeedState, JoinStep

Joins = tuple[AccountJoin, ...]


def taking_part(joins: Joins) -> list[AccountJoin]:
    """Return the accounts that joined, or are about to, and have not left."""
    return [entry for entry in joins if entry.step is not JoinStep.LEFT]


def wanting(listing: Listing, joins: Joins) -> list[tuple[Account, int]]:
    """Return the accounts that have not joined as configured now, with their numbers."""
    done = {entry.account: entry for entry in joins}
    pairs = zip(listing.accounts, listing.numbers, strict=True)
    return [(account, number) for account, number in pairs if _is_new(done, account, number)]


def _is_new(done: dict[str, AccountJoin], account: Account, number: int) -> bool:
    entry = done.get(account.name)
    if entry is None or number > entry.number:
        return True
    return entry.step is JoinStep.DECIDED and number == entry.number


def leaving(listing: Listing, joins: Joins) -> list[AccountJoin]:
    """Return the accounts that take part and are not listed any more."""
    listed = {account.name for account in listing.accounts}
    return [entry for entry in taking_part(joins) if entry.account not in listed]


def returned(listing: Listing, joins: Joins) -> list[AccountJoin]:
    """Return the accounts that left and are listed again under no newer number.

    A join is known by its number, so that one would be taken for a repeat.
    """
    numbers = {
        account.name: number
        for account, number in zip(listing.accounts, listing.numbers, strict=True)
    }
    return [
        entry
        for entry in joins
        if entry.step is JoinStep.LEFT
        and numbers.get(entry.account, entry.number + 1) <= entry.number
    ]


def last_leave(joins: Joins) -> int:
    """Return the time of the last leave, milliseconds since the epoch UTC; 0 for none."""
    return max((entry.time for entry in joins if entry.step is JoinStep.LEFT), default=0)


def decided_time(joins: Joins) -> int | None:
    """Return the time of a join that was decided and perhaps not sent; none where none is."""
    return next((entry.time for entry in joins if entry.step is JoinStep.DECIDED), None)


def with_entries(state: FeedState, entries: Iterable[AccountJoin]) -> FeedState:
    """Return the state with new entries in place of those of the same accounts."""
    new = {entry.account: entry for entry in entries}
    kept = [entry for entry in state.joins if entry.account not in new]
    return replace(state, joins=(*kept, *new.values()))
