"""The topics of a run and overrides enter; what entered the run leaves, its accounts changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from app.backtest.settings import Values, checked, section
from app.backtest.source import Chunks
from app.backtest.words import Override
from app.config_sections import Kafka
from app.core.events import Account, Epoch, Message
from app.errors import ConfigurationError
from app.replay.sources.entering import Entering


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
