"""Configuration becomes records: numbers rise with every change, and never start again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.core.events import Account, Listing
from app.market.listings import wanted
from tests.records import ACCOUNTS

MINUTE = 60_000


def steps(*configurations: tuple[Account, ...]) -> list[dict[str, Listing]]:
    """Return what stands after each configuration, applied one after the other."""
    standing: dict[str, Listing] = {}
    history = []
    for accounts in configurations:
        standing |= {made.instrument: made for made in wanted(accounts, MINUTE, standing)}
        history.append(dict(standing))
    return history


def numbers_of(standing: dict[str, Listing], name: str) -> set[int]:
    return {
        number
        for listing in standing.values()
        for account, number in zip(listing.accounts, listing.numbers, strict=True)
        if account.name == name
    }


@given(ACCOUNTS)
def test_the_same_configuration_changes_nothing(account: Account) -> None:
    first, second = steps((account,), (account,))
    assert first == second
    assert numbers_of(first, account.name) == {1}
    assert set(first) == set(account.instruments)


@given(ACCOUNTS, st.integers(1, 5))
def test_a_change_and_a_return_count_on(account: Account, times: int) -> None:
    richer = replace(account, capital=account.capital + Decimal(1))
    history = steps((account,), (richer,), *[(), (account,)] * times)
    seen = [numbers_of(standing, account.name) for standing in history]
    assert seen == [{1}, {2}, *[part for n in range(times) for part in (set(), {3 + n})]]


@given(ACCOUNTS)
def test_an_instrument_that_nobody_trades_has_a_listing_that_says_so(account: Account) -> None:
    _, after = steps((account,), ())
    assert all(not listing.accounts for listing in after.values())
    assert all(listing.retired == {account.name: 1} for listing in after.values())
