"""Dumps and accounts enter; the records that a backtest feeds leave, in pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from app.core.events import Account, Epoch, Filters, Message
from app.market.importing import Dump, Manner, symbol
from app.replay.play import pieces
from app.replay.sources import dumps
from app.replay.sources.entering import Entering

if TYPE_CHECKING:
    from app.backtest.settings import Setup  # new processes load this module often

Chunks = AsyncGenerator[list[Entering], None]


@dataclass(frozen=True, slots=True)
class Files:
    """Dumps, and the accounts that trade them; can be handed to another process.

    Attributes:
        dumps: An instrument each.
        accounts: Those that trade.
        interval: The base interval, milliseconds.
        manner: How they become records.
        filters: The exchange's rules by instrument, in place of what the files show.
    """

    dumps: tuple[Dump, ...]
    accounts: tuple[Account, ...]
    interval: int
    manner: Manner
    filters: Mapping[str, Filters] = field(default_factory=dict)

    def chunks(self) -> Chunks:
        """Yield what live feeds of these dumps publish."""
        records = dumps.entering(self.dumps, self.accounts, self.interval, self.manner)
        return pieces(map(self._ruled, records) if self.filters else records)

    def _ruled(self, entering: Entering) -> Entering:
        record = entering.message.record
        if not isinstance(record, Epoch):
            return entering
        ruled = replace(record, filters=self.filters[record.instrument])
        return entering._replace(message=Message(ruled))


class Source(Protocol):
    """Where a backtest's records come from; can be handed to another process."""

    def chunks(self) -> Chunks:
        """Yield what enters, in event-time order."""


def files(given: list[Dump], setup: Setup, start: int | None, until: int | None) -> Files:
    """Return the source of dumps under a setup, from one time on and before another."""
    manner = Manner(
        start=start,
        until=until,
        history_count=setup.market.history_count,
        flush_count=setup.market.flush_count,
        grace=setup.market.grace,
    )
    return Files(tuple(given), setup.accounts, setup.interval, manner)


def measured_filters(given: tuple[Dump, ...]) -> dict[str, Filters]:
    """Return the rules that files show, by instrument; raises DumpError, ConfigurationError."""
    return {dump.instrument: symbol(dump).filters for dump in given}
