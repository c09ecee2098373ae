"""What a run was enters; what a report says of it beside its figures leaves."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.metrics import AccountSummary, Summary
from app.core.metrics.prices import PriceRecord
from app.report.numbers import counted, moment

DAY = 86_400_000
REFUSED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Input:
    """Something a run read.

    Attributes:
        name: A topic and partition, or a file's name.
        extent: From where to where, in words: offsets, times.
        records: How many records it gave.
    """

    name: str
    extent: str
    records: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a report's header says; the same for the same run, so no time of writing.

    Attributes:
        title: For people, for example "Backtest of paper".
        run: The run's name.
        code: Version of the code, for example "0.1.0".
        inputs: What it read.
        notes: Warnings of whoever ran it; what the figures tell is added.
        files: Names of the files beside the report, which it links.
    """

    title: str
    run: str
    code: str
    inputs: tuple[Input, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A run and its figures: what every form of a report is made from."""

    info: RunInfo
    summary: Summary

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader must know before believing a figure."""
        found = [*self.info.notes]
        for name, price in self.summary.prices.items():
            found += _price_warnings(name, price)
        for account in self.summary.accounts:
            found += _account_warnings(account)
        return tuple(found)


def _price_warnings(name: str, price: PriceRecord) -> list[str]:
    found = []
    if price.incomplete:
        found.append(
            f"Gaps touch {price.incomplete} of {counted(price.candles, 'candle')} of {name}; "
            f"strategies were not ready there."
        )
    if price.late:
        found.append(
            f"{counted(price.late, 'trade')} of {name} came after its candle had closed and "
            f"changed no decision."
        )
    return found


def _account_warnings(account: AccountSummary) -> list[str]:
    found = []
    name, figures, halts = account.name, account.figures, account.activity.halts
    if account.end - account.start < 30 * DAY:
        found.append(
            f"{name} ran for less than 30 days: its yearly figures extrapolate from very little, "
            f"and there is no growth a year."
        )
    if account.conditions.epochs > 1:
        found.append(f"{name} had {account.conditions.epochs} configurations; the first is shown.")
    if account.open_trips:
        found.append(
            f"{counted(len(account.open_trips), 'round trip')} of {name} still open at the end, "
            f"counted at the last marks."
        )
    if halts and halts[-1].TYPE == "halted":
        found.append(f"{name} was halted at {moment(halts[-1].time)} and not resumed.")
    if account.activity.unbooked:
        found.append(
            f"{counted(account.activity.unbooked, 'fill')} of {name} after its last decision time, "
            f"in no figure."
        )
    orders, refused = int(figures["orders"].value or 0), int(figures["refusals"].value or 0)
    if refused > REFUSED_SHARE * (orders + refused):
        found.append(
            f"Risk refused {counted(refused, 'order')} of {name} and let {orders:,} through."
        )
    return found
