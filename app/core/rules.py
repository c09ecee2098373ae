"""The rules in force: epoch records enter one by one, account, filters and strategies leave."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.events import Account, Epoch, Filters, Inbound


class ForeignRecordError(RuntimeError):
    """A topic held a record that does not belong there."""


class Rules:
    """The epoch records of the newest configuration, by instrument.

    Attributes:
        epochs: The records, all of one number; empty before the first.
    """

    __slots__ = ("epochs",)

    def __init__(self, epochs: Mapping[str, Epoch]) -> None:
        self.epochs: dict[str, Epoch] = dict(epochs)

    def adopt(self, epoch: Epoch) -> None:
        """Take an epoch's record for one instrument; a new number replaces all older records."""
        kept = {name: each for name, each in self.epochs.items() if each.number == epoch.number}
        self.epochs = {**kept, epoch.instrument: epoch}

    @property
    def account(self) -> Account:
        """The account as configured."""
        return self._any.account

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the account's strategies, in the order configured."""
        return tuple(setting.name for setting in self.account.strategies)

    @property
    def interval(self) -> int:
        """The base interval, milliseconds."""
        return self._any.interval

    def filters(self, instrument: str) -> Filters:
        """Return the exchange's rules for orders on an instrument of the account."""
        return self.epochs[instrument].filters

    @property
    def _any(self) -> Epoch:
        return next(iter(self.epochs.values()))


def foreign(inbound: Inbound) -> ForeignRecordError:
    """Return the error for a record of a type its topic does not carry."""
    return ForeignRecordError(
        f"{inbound.topic}/{inbound.partition}/{inbound.offset} held a {inbound.record.TYPE}, "
        f"which does not belong there: find its writer, then replay from before that offset."
    )
