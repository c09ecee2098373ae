"""How a stage asks its broker for records enters; the client's fetcher leaves, held to it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer import fetcher as client_fetcher
from aiokafka.consumer.fetcher import PartitionRecords


@dataclass(frozen=True, slots=True)
class Fetching:
    """How a stage asks for records.

    Attributes:
        pause: Seconds from one question to the next, at least. One who asks at once after every
            answer is given one record at a time, and what a question costs, here and on the
            broker, is most of what a record costs. A stage that is idle has asked already.
        least: Bytes that the broker waits for,
        wait: and how long it does, milliseconds.
    """

    pause: float
    least: int
    wait: int


PROMPT = Fetching(pause=0.003, least=1, wait=250)
"""For what decides: whatever comes is sent at once."""

IN_BULK = Fetching(pause=0.003, least=256 * 1024, wait=150)
"""For the tables, which nobody waits for: a transaction costs as much for one row as for many."""


KNOWN = 50
"""So many records in a row that were all handed over before: whoever reads them asks in bulk."""


class Fetched(PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition; its memory is free as soon as nobody has it any more.

    The client's own holds an iterator that holds it. What is left of it when its partition is
    paused only the garbage collector would find, which a worker gives little to do: some 60 MiB
    were waiting for it while execution, ahead of its orders, paused trades again and again.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._records_iterator = PartitionRecords._unpack_records(weakref.proxy(self))  # noqa: SLF001


client_fetcher.PartitionRecords = Fetched  # of every consumer here; guarded by a test


def hold(client: Any, fetching: Fetching) -> None:
    """Let a Kafka consumer that has not started, or the fetcher of one that has, ask as told."""
    client._fetch_max_wait_ms = fetching.wait  # noqa: SLF001 - guarded by a test
    client._fetch_min_bytes = fetching.least  # noqa: SLF001


class Asking:
    """Asks the brokers for what a stage reads, through the fetcher of a consumer that has started.

    What is handed over it reads all the same, and has no use for it. Each answer costs it as much
    as news would, here and on the broker, just while the records of a closed bar are on their way.
    So who is handed all it reads asks in bulk, until something comes that it was not handed.
    """

    def __init__(self, fetcher: Any, prompt: Fetching) -> None:
        self._fetcher = fetcher
        self._prompt = prompt
        self._known = 0
        fetcher._proc_fetch_request = _paced(fetcher._proc_fetch_request, prompt.pause)  # noqa: SLF001

    def answered(self, count: int, *, new: bool) -> None:
        """Take note of an answer of so many records, and whether any of them was new."""
        self._known = 0 if new else self._known + count
        hold(self._fetcher, self._prompt if self._known < KNOWN else IN_BULK)


def _paced(
    ask: Callable[[Any, Any, Any], Awaitable[bool]], pause: float
) -> Callable[[Any, Any, Any], Awaitable[bool]]:
    asked: dict[Any, float] = {}  # by broker: each is asked one question at a time

    async def paced(assignment: Any, node: Any, request: Any) -> bool:
        now = asyncio.get_running_loop().time
        early = asked.get(node, 0.0) + pause - now()
        if early > 0:
            await asyncio.sleep(early)
        asked[node] = now()
        return await ask(assignment, node, request)

    return paced
