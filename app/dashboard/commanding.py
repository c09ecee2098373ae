"""A person's instruction enters; a command on `signals`, once however often it is asked, leaves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from app.core.events import Action, Command, Message
from app.dashboard.errors import AWAY, MISSING, OUT_OF_RANGE, USED, AnswerError
from app.errors import UnreachableError
from app.runtime.codec import EncodeError, encode
from app.runtime.kafka import AppendError, KafkaLog
from app.runtime.ports import Entry
from app.runtime.topics import Cluster

BROKER = "broker"
TOPIC = "signals"
REMEMBERED = 1_000
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is asked for.

    Attributes:
        account: Whose.
        command_id: The page's own.
        action: halt, resume or flatten.
        reason: Why.
        by: Who says so.
        address: From where.
        confirm: The account again, for what can't be undone.
    """

    account: str
    command_id: str
    action: Action
    reason: str
    by: str
    address: str
    confirm: str | None

    def command(self) -> Command:
        """Return the record; raises InvalidRecordError."""
        by = f"{self.by}, dashboard, from {self.address}"
        return Command(self.account, self.command_id, self.action, by, self.reason)


class Commander:
    """Appends commands; the same id again is the same command.

    Args:
        cluster: The broker.
        accounts: Those that are configured.
    """

    def __init__(self, cluster: Cluster, accounts: Collection[str]) -> None:
        self._cluster, self._accounts = cluster, accounts
        self._given: OrderedDict[tuple[str, str], tuple[Action, asyncio.Task[dict[str, Any]]]] = (
            OrderedDict()
        )
        self._log: KafkaLog | None = None
        self._opening = asyncio.Lock()
        self._leaving: asyncio.Task[None] | None = None

    async def give(self, asked: Instruction) -> dict[str, Any]:
        """Append a command, or return where it stands already.

        Raises:
            AnswerError: It may not be given, or nothing acknowledged it.
        """
        self._check(asked)
        key = (asked.account, asked.command_id)
        known = self._given.get(key)
        if known is not None and known[0] is not asked.action:
            sentence = f"command_id {asked.command_id} was used for {known[0]}: make a new one."
            raise AnswerError(USED, sentence)
        task = known[1] if known else self._begin(key, asked)
        # Whoever asked may go away; the command is given all the same.
        return await asyncio.shield(task) | {"repeated": known is not None}

    async def close(self) -> None:
        """Disconnect."""
        log, self._log = self._log, None
        if log is not None:
            await log.stop()

    def _check(self, asked: Instruction) -> None:
        if asked.account not in self._accounts:
            names = ", ".join(self._accounts)
            raise AnswerError(
                MISSING, f"there is no account {asked.account[:80]!r}; known are {names}."
            )
        if asked.action is Action.FLATTEN and asked.confirm != asked.account:
            raise AnswerError(
                OUT_OF_RANGE,
                f"flatten closes every position of {asked.account}: confirm must hold its name.",
            )

    def _begin(self, key: tuple[str, str], asked: Instruction) -> asyncio.Task[dict[str, Any]]:
        task = asyncio.create_task(self._append(asked))
        self._given[key] = (asked.action, task)
        task.add_done_callback(lambda done: self._ended(key, done))
        if len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return task

    def _ended(self, key: tuple[str, str], done: asyncio.Task[dict[str, Any]]) -> None:
        """Forget what failed, so that it can be tried again."""
        if done.cancelled() or done.exception() is not None:
            self._given.pop(key, None)

    async def _append(self, asked: Instruction) -> dict[str, Any]:
        try:
            command = asked.command()
            value = encode(Message(command))
        except (ValueError, EncodeError) as error:
            raise AnswerError(OUT_OF_RANGE, f"{error}.") from error
        try:
            async with asyncio.timeout(PATIENCE):
                place = await self._stand(asked.account.encode(), value)
        except (TimeoutError, AppendError, UnreachableError) as error:
            self._drop()
            raise AnswerError(AWAY, _unacknowledged(asked, error), BROKER, 2) from error
        return {
            "account": asked.account,
            "action": asked.action.value,
            "command_id": asked.command_id,
            "by": command.by,
            "topic": TOPIC,
            **place,
        }

    async def _stand(self, key: bytes, value: bytes) -> dict[str, int]:
        log = await self._opened()
        partitions = await log.partitions(TOPIC)
        (offset,) = await log.append([Entry(TOPIC, key, value)])
        return {"partition": log.partition_for(key, partitions), "offset": offset}

    async def _opened(self) -> KafkaLog:
        async with self._opening:
            if self._log is None:
                cluster = self._cluster
                log = KafkaLog(cluster.bootstrap, cluster.prefix, **cluster.security())
                await log.start()
                self._log = log
            return self._log

    def _drop(self) -> None:
        """Leave a producer that failed to itself; the next command gets a new one."""
        self._leaving = asyncio.create_task(self.close())


def _unacknowledged(asked: Instruction, error: BaseException) -> str:
    return (
        f"{asked.action} of {asked.account} was not acknowledged by the broker "
        f"({str(error).rstrip('.') or 'it took too long'}): give it again with the same id, or use "
        f"`lockstep {asked.action} {asked.account}`."
    )
