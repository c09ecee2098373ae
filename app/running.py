"""A command's coroutine enters; its result leaves, or what the signal that ended it raises."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
Handler = Callable[[int, FrameType | None], Any]

SIGNALS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as `asyncio.run` does.

    A signal ends it with what the signal's handler raises. Where clients' tasks run beside it, the
    coroutine is cancelled first: an exception out of one of those would leave connections that
    can't be closed. Where it is alone, it may compute for minutes without a pause, and ends where
    the signal strikes. A second signal always does that. One that was ignored before stays so.
    """
    ending = _Ending()

    async def begin() -> T:
        ending.task = asyncio.current_task()
        return await main

    with ending.handling(), asyncio.Runner() as runner:
        try:
            return runner.run(begin())
        except asyncio.CancelledError:
            ending.conclude()
            raise


class _Ending:
    """What signals do while a coroutine runs.

    Attributes:
        task: The coroutine's; none before it runs.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self._before: dict[int, Handler] = {}
        self._struck: int | None = None

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Stand before the handlers that are there."""
        for number in SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                self._before[number] = before
                signal.signal(number, self._strike)
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def conclude(self) -> None:
        """Raise what the signal's own handler raises, where one has struck."""
        if self._struck is not None:
            self._before[self._struck](self._struck, None)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        loop = None if self.task is None else self.task.get_loop()
        if loop is None or self._struck is not None or len(asyncio.all_tasks(loop)) == 1:
            self._before[number](number, frame)
            return
        self._struck = number
        assert self.task is not None  # noqa: S101 - there is a loop
        self.task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes it, should it wait for a connection
