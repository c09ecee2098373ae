"""Records, or what holds at a moment, enter; notices for people leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from app.core.decimals import plain
from app.core.events import Account, DeadLetter, Gap, Halted, Resumed, RiskReport
from app.dashboard.live.placed import Placed
from app.dashboard.live.tally import is_loss

NEAR = Decimal("0.8")
"""The share of the daily loss limit at which a person may still do something."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a person should know.

    Attributes:
        kind: What sort of thing; docs/monitoring.md has one heading for each.
        subject: Whose, such as an account or an instrument.
        says: A sentence: what happened, and what to do.
        over: Whether it says that something is well again.
    """

    kind: str
    subject: str
    says: str
    over: bool = False


class Happenings:
    """Makes notices of records.

    Args:
        accounts: Those that are configured.
    """

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self._limits = {account.name: account.risk.daily_loss for account in accounts}
        self._quotes = {account.name: account.quote for account in accounts}
        self._level: dict[str, int] = {}
        self._gaps: dict[str, int] = {}

    def of(self, message: Placed) -> Iterator[Notice]:
        """Give what a record says to people."""
        match message.record:
            case Halted() as record:
                yield _halted(record)
            case Resumed(account=name):
                yield Notice("halt", name, f"{name} was resumed: it opens positions again.", True)
            case RiskReport() as record:
                yield from self._loss(record)
            case Gap() as record if is_loss(record):
                yield from self._gap(record)
            case DeadLetter() as record:
                yield _dead_letter(record)

    def _loss(self, report: RiskReport) -> Iterator[Notice]:
        name, limit = report.account, self._limits.get(report.account)
        if not limit:
            return
        level = (report.daily_loss >= limit * NEAR) + (report.daily_loss >= limit)
        if level > self._level.get(name, 0):
            share = round(100 * report.daily_loss / limit)
            yield Notice(
                "daily_loss" if level > 1 else "daily_loss_near",
                name,
                f"{name} has lost {plain(report.daily_loss)} {self._quotes[name]} today, {share} % "
                f"of its limit of {plain(limit)}"
                + (
                    "."
                    if level > 1
                    else f": `lockstep halt {name}` stops it before the limit does."
                ),
            )
        self._level[name] = level

    def _gap(self, gap: Gap) -> Iterator[Notice]:
        """Tell of a gap once: a second record of it only says where it ends."""
        if self._gaps.get(gap.instrument) == gap.first_id:
            return
        self._gaps[gap.instrument] = gap.first_id
        last = "on" if gap.last_id is None else f"to {gap.last_id}"
        yield Notice(
            "gap",
            gap.instrument,
            f"{gap.instrument} lacks the trades {gap.first_id} {last}, from "
            f"{_clock(gap.from_time)}: {gap.reason}. Nothing is opened on the candles it touches.",
        )


def _halted(record: Halted) -> Notice:
    name = record.account
    what = "is flattened and halted" if record.flatten else "was halted"
    return Notice(
        "halt",
        name,
        f"{name} {what} at {_clock(record.time)} ({record.limit}): {record.reason}. "
        f"`lockstep resume {name}` lets it go on.",
    )


def _dead_letter(record: DeadLetter) -> Notice:
    place = f"{record.topic}/{record.partition}/{record.offset}"
    says = f"{record.stage} could not read {place}: {record.reason}."
    return Notice("dead_letter", record.topic, says)


def _clock(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


class Standing:
    """Makes notices of what goes on for a while: when it begins to matter, and when it is over.

    Args:
        patience: Seconds that each kind may hold before it is told; 0 unless named.
    """

    def __init__(self, patience: Mapping[str, float]) -> None:
        self._patience = patience
        self._since: dict[tuple[str, str], float] = {}
        self._told: dict[tuple[str, str], Notice] = {}

    def update(self, now: float, held: Mapping[tuple[str, str], str]) -> Iterator[Notice]:
        """Give what is new.

        Args:
            now: Seconds of any clock that only goes forward.
            held: The sentence of what holds now, by kind and subject.
        """
        for key, says in held.items():
            since = self._since.setdefault(key, now)
            if key not in self._told and now - since >= self._patience.get(key[0], 0.0):
                self._told[key] = Notice(*key, says)
                yield self._told[key]
        for key in [key for key in self._since if key not in held]:
            del self._since[key]
            if self._told.pop(key, None):
                kind, subject = key
                yield Notice(kind, subject, f"{subject}: well again ({kind}).", True)
