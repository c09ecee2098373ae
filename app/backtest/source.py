"""Dumps, or the topics of a run, enter; the records that a backtest feeds leave, in pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.backtest.settings import Setup, Values, checked, section
from app.backtest.words import Override
from app.config_sections import Kafka
from app.core.events import Account, Epoch, Filters, Message
from app.errors import ConfigurationError
from app.market.importing import Dump, Manner, symbol
from app.replay.play import pieces
from app.replay.sources import dumps
from app.replay.sources.entering import Entering

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


@dataclass(frozen=True, slots=True)
class Topics:
    """What a run's topics hold, its accounts overridden; can be handed to another process.

    Attributes:
        kafka: Where they are.
        begin: Records are split here, milliseconds since the epoch UTC.
        end: What entered from then on is left out, milliseconds since the epoch UTC.
        overrides: Settings of the accounts that differ from the run's own.
    """

    kafka: Kafka
    begin: int | None = None
    end: int | None = None
    overrides: tuple[Override, ...] = ()

    async def chunks(self) -> Chunks:
        """Yield all that entered the run, from its beginning.

        Raises:
            LockstepError: Retention took what is needed, or the broker can't be reached.
            ConfigurationError: An override does not fit an account of the run.
        """
        from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415 - a Kafka client
        from app.replay.sources.topics import entering  # noqa: PLC0415

        moments = [time for time in (self.begin, self.end) if time is not None]
        async with KafkaRecording(self.kafka) as recording:
            async for chunk in entering(recording, None, moments):
                kept = [each for each in chunk if self.end is None or each.time < self.end]
                yield [self._edited(each) for each in kept]
                if len(kept) < len(chunk):
                    return

    def _edited(self, entering: Entering) -> Entering:
        record = entering.message.record
        if not (self.overrides and isinstance(record, Epoch)):
            return entering
        account = overridden(record.account, self.overrides, record.interval)
        return entering._replace(message=Message(replace(record, account=account)))


Source = Files | Topics


def overridden(account: Account, overrides: tuple[Override, ...], interval: int) -> Account:
    """Return a recorded account with overrides that name it; raises ConfigurationError."""
    document: dict[str, Any] = {
        "interval": interval,
        "accounts": {account.name: section(account)},
    }
    mine = [each for each in overrides if each.path[:2] == ("accounts", account.name)]
    for each in overrides:
        if each.path[0] != "accounts":
            raise ConfigurationError(
                f"--set {each.key}: a run's topics have it already; only accounts can be other."
            )
    _, _, (made,) = checked(Values("the run", document, chosen=True), mine)
    if made.instruments != account.instruments:
        raise ConfigurationError(
            f"--set accounts.{account.name}.instruments: what a run traded stands on its topics; "
            f"give files to trade other instruments."
        )
    return made


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
