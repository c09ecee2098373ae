"""Who joins and who leaves: a join is known by its number, so no number is used twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.market.membership import leaving, returned, taking_part, wanting, with_entries
from app.market.state import AccountJoin, FeedState, JoinStep
from tests.market.binance.feeding import XRP, account, listing

NAMES = ("a", "b", "c")
LISTINGS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4)).map(
    lambda numbers: listing(*map(account, numbers), numbers=tuple(numbers.values()))
)


@given(st.lists(LISTINGS, max_size=8))
def test_an_account_joins_once_under_each_number_and_only_upwards(listings: list) -> None:  # type: ignore[type-arg]
    state = FeedState(XRP)
    joined: list[tuple[str, int]] = []
    for each in listings:
        gone = leaving(each, state.joins)
        left = [AccountJoin(e.account, e.number, 9, 1, JoinStep.LEFT) for e in gone]
        state = with_entries(state, left)
        new = wanting(each, state.joins)
        refused = {entry.account for entry in returned(each, state.joins)}
        joined += [(account.name, number) for account, number in new]
        entries = [
            AccountJoin(account.name, number, 9, 1, JoinStep.JOINED) for account, number in new
        ]
        state = with_entries(state, entries)
        part = {entry.account for entry in taking_part(state.joins)}
        assert part == {account.name for account in each.accounts} - refused
        assert wanting(each, state.joins) == []
    for name in NAMES:
        numbers = [number for account, number in joined if account == name]
        assert numbers == sorted(set(numbers))


def test_a_decided_join_is_still_to_be_made() -> None:
    decided = AccountJoin("a", 2, 9, 1, JoinStep.DECIDED)
    assert [number for _, number in wanting(listing(account(), numbers=(2,)), (decided,))] == [2]
    assert wanting(listing(account(), numbers=(1,)), (decided,)) == []
