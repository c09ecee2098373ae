"""The figures of what the whole pipeline made, against its own records."""

from __future__ import annotations

import pytest

from app.core.events import Fill, Message, Orders, Portfolio, Refusal, RiskReport
from app.core.metrics import Trip
from app.report import Report


def of(made: list[Message], kind: type, account: str) -> list:
    records = [message.record for message in made]
    return [each for each in records if isinstance(each, kind) and each.account == account]


@pytest.mark.parametrize("at", [0, 1])
def test_counts_and_curves_are_those_of_the_records(
    ring: Report, made: list[Message], at: int
) -> None:
    account = ring.summary.accounts[at]
    portfolios = of(made, Portfolio, account.name)
    assert account.paths.time.tolist() == [each.time for each in portfolios]
    assert account.paths.equity.tolist() == [float(each.equity) for each in portfolios]
    gross = [float(each.gross_notional) for each in of(made, RiskReport, account.name)]
    assert account.paths.gross.tolist() == pytest.approx(gross, rel=1e-12, abs=1e-9)
    fills = [each for each in of(made, Fill, account.name) if each.time < portfolios[-1].time]
    assert account.figures["fills"].value == len(fills)
    assert account.figures["fees"].value == sum(each.fee for each in fills)
    orders = sum(len(each.orders) for each in of(made, Orders, account.name))
    assert account.figures["orders"].value == len(account.activity.orders) == orders
    refusals = of(made, Refusal, account.name)
    counted = sum(each.refused + each.cut for each in account.activity.refused)
    assert counted == len(refusals)
    halted = sum(each.halted for each in of(made, RiskReport, account.name))
    assert account.figures["halted_time"].value == halted / len(portfolios)


def test_trips_make_the_profit_of_both_accounts(ring: Report) -> None:
    for account in ring.summary.accounts:
        trips: tuple[Trip, ...] = (*account.trips, *account.open_trips)
        assert sum(trip.profit for trip in trips) == account.figures["profit"].value
        assert account.trips
        assert account.open_trips


def test_what_was_wrong_with_the_data_is_warned_of(ring: Report) -> None:
    warnings = " ".join(ring.warnings())
    assert "Gaps touch 1 of 40 candles of SIM:AAAUSDT" in warnings
    assert "4 trades of SIM:AAAUSDT came after" in warnings
    assert "beta had 2 configurations" in warnings
    assert "alpha ran for less than 30 days" in warnings


def test_a_run_of_a_year_is_not_warned_of(year: Report) -> None:
    assert not any("30 days" in each for each in year.warnings())
