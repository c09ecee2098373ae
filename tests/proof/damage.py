"""A run enters; copies of it leave with one thing changed, and what `verify` must say of each."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from app.config import load
from app.core.events import Account, Candle, Epoch, Fill, Message
from app.errors import DIFFERENCE
from app.runtime import topics
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Place, Stored
from tests.integration.worker import Installation
from tests.proof.processes import Measured, lockstep
from tests.proof.site import DERIVED

PIECE = 1_000
SHOWN = 300

Changes = dict[tuple[str, int, int], bytes | None]
"""By topic, partition and offset, what stands there on the copy; none: nothing does."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing changed.

    Attributes:
        name: What, in words.
        changes: What is otherwise on the copy.
        expected: The first difference, field by field, but for its time.
    """

    name: str
    changes: Changes
    expected: dict[str, Any]

    def shown(self) -> tuple[str, ...]:
        """Return the lines that `verify` must print, but for the first one's time."""
        fields = self.expected
        return (
            f"first difference: {fields['name']}",
            f"\n  stands at  {fields['place'] or 'nowhere: it is missing'}\n",
            f"\n  field      {fields['field']}\n" if fields["field"] else "",
            f"\n  recorded   {fields['recorded'] or 'nothing'}\n",
            f"\n  replayed   {fields['replayed']}\n",
            *(f"\n  caused by  {name}\n" for name in fields["chain"]),
        )


def one_byte(target: Stored) -> Damage:
    """Change the last digit of a fill's price."""
    value = target.value or b""
    fields = orjson.loads(value)
    was = fields["price"]
    now = was[:-1] + ("1" if was[-1] != "1" else "2")
    changed = value.replace(f'"price":"{was}"'.encode(), f'"price":"{now}"'.encode())
    if sum(one != other for one, other in zip(value, changed, strict=True)) != 1:
        raise ValueError(f"{value!r} and {changed!r} do not differ by one byte")
    return Damage(
        "one byte of a recorded fill",
        {_place(target): changed},
        _difference(target, "price", now, was),
    )


def one_dropped(target: Stored) -> Damage:
    """Leave one candle out."""
    text = (target.value or b"").decode()
    expected = _difference(target, "", "", text if len(text) <= SHOWN else text[:SHOWN] + "…")
    return Damage("one candle dropped", {_place(target): None}, expected | {"place": ""})


def one_parameter(
    epochs: Sequence[Stored], passed_on: Sequence[Stored], changed: Callable[[Account], Account]
) -> Damage:
    """Change how one account fills, as another app.yaml would have entered the run.

    Args:
        epochs: Those on `trades`.
        passed_on: Those that candles have passed on: the first of them must be named.
        changed: Returns an account with another slippage.
    """
    account = _record(epochs[0]).account
    ours = [each for each in passed_on if _record(each).account.name == account.name]
    first = min(ours, key=lambda each: decode(each.value).name)
    was, now = account.execution.slippage, changed(account).execution.slippage
    return Damage(
        "one parameter of app.yaml changed",
        {
            _place(each): _under(each, changed)
            for each in epochs
            if _record(each).account.name == account.name
        },
        _difference(first, "account.execution.slippage", str(was), str(now)),
    )


def _difference(target: Stored, field: str, recorded: str, replayed: str) -> dict[str, Any]:
    message = decode(target.value)
    return {
        "name": message.name,
        "place": "/".join(map(str, _place(target))),
        "field": field,
        "recorded": recorded,
        "replayed": replayed,
        "chain": [message.origin],
    }


def _place(stored: Stored) -> tuple[str, int, int]:
    return stored.topic, stored.partition, stored.offset


def _record(stored: Stored) -> Any:
    return decode(stored.value).record


def _under(stored: Stored, changed: Callable[[Account], Account]) -> bytes:
    epoch: Any = _record(stored)
    return encode(Message(dataclasses.replace(epoch, account=changed(epoch.account))))


async def damages(run: Installation, changed: Callable[[Account], Account]) -> list[Damage]:
    """Return one changed byte of a fill, a dropped candle, and a changed parameter, for a run."""
    trades, candles = await run.stored("trades"), await run.stored("candles")
    fills = _once(_only(await run.stored("fills"), Fill))
    closed = _once(_only(candles, Candle))
    return [
        one_byte(fills[len(fills) // 2]),
        one_dropped(closed[len(closed) // 2]),
        one_parameter(_only(trades, Epoch), _only(candles, Epoch), changed),
    ]


def _only(stored: Sequence[Stored], kind: type[Any]) -> list[Stored]:
    return [each for each in stored if isinstance(_record(each), kind)]


def _once(stored: Sequence[Stored]) -> list[Stored]:
    """Return what a crash did not repeat: of a record that stands twice, one may go unnoticed."""
    times = Counter(each.value for each in stored)
    return [each for each in stored if times[each.value] == 1]


def accounts_of(folder: Path) -> Callable[[Account], Account]:
    """Return what gives the account of the same name in another folder's app.yaml."""
    known = {account.name: account for account in load(folder).accounts()}
    return lambda account: known[account.name]


async def copied(run: Installation, copy: Installation, damage: Damage) -> None:
    """Put a run on another's topics, offset by offset, but for what is damaged."""
    for topic in ("trades", *DERIVED):
        for number in range(topics.declared()[topic].partitions):
            stored = await run.log.read(Place(topic, number))
            entries = [
                Entry(topic, each.key or b"", value, number)
                for each in stored
                if (value := damage.changes.get(_place(each), each.value)) is not None
            ]
            for begin in range(0, len(entries), PIECE):
                await copy.log.append(entries[begin : begin + PIECE])


@dataclass(frozen=True, slots=True)
class Found:
    """What `verify` said of a damaged copy.

    Attributes:
        damage: What was done to it.
        said: The command and its output.
        wrong: What that is not, and must be; empty where all is well.
    """

    damage: Damage
    said: Measured
    wrong: tuple[str, ...]


async def named(copy: Installation, damage: Damage) -> Found:
    """Let `verify` look at a damaged copy."""
    said = await lockstep(copy.environment, "verify")
    wrong = [f"it does not say {part!r}" for part in damage.shown() if part not in said.out]
    if said.code != DIFFERENCE:
        wrong.append(f"it ended with {said.code}, not {DIFFERENCE}: {said.error}")
    return Found(damage, said, tuple(wrong))
