"""What a backtest feeds enters, record by record; what it read leaves, in words for a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.events import Gap, Trades
from app.core.metrics import RunRecords
from app.replay.sources.entering import Entering
from app.report import Input
from app.times import format_time


@dataclass(slots=True)
class Extent:
    """The trades of one instrument, as far as they were fed; times in milliseconds."""

    first_id: int
    first_time: int
    last_id: int
    last_time: int
    count: int = 0

    @property
    def words(self) -> str:
        """From where to where."""
        return (
            f"ids {self.first_id} to {self.last_id}, {format_time(self.first_time)} to "
            f"{format_time(self.last_time)}"
        )


class Reading:
    """Counts what is fed, and tells a run's records what only its input knows: the gaps.

    Attributes:
        trades: How many trades were fed.
        moment: The time of the last, milliseconds since the epoch UTC.
    """

    def __init__(self, records: RunRecords) -> None:
        self.trades = 0
        self.moment = 0
        self._records = records
        self._extents: dict[str, Extent] = {}

    def take(self, entering: Entering) -> None:
        """Take a record that is about to be fed."""
        record = entering.message.record
        self.moment = entering.time
        if isinstance(record, Trades):
            self._count(record)
        elif isinstance(record, Gap):
            self._records.take(record)

    def inputs(self, names: Mapping[str, str]) -> tuple[Input, ...]:
        """Return what was read, by instrument; `names` says where each was read from."""
        return tuple(
            Input(f"{instrument}: {names.get(instrument, 'trades')}", extent.words, extent.count)
            for instrument, extent in sorted(self._extents.items())
        )

    def _count(self, record: Trades) -> None:
        extent = self._extents.get(record.instrument)
        if extent is None:
            extent = Extent(record.id[0], record.time[0], 0, 0)
            self._extents[record.instrument] = extent
        extent.last_id, extent.last_time = record.id[-1], record.time[-1]
        extent.count += len(record.id)
        self.trades += len(record.id)
