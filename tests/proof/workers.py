"""An installation enters; workers of it leave, started again whenever they end of themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

from tests.integration.worker import Installation, Worker
from tests.proof.processes import peak_of
from tests.proof.site import until

PATIENCE = 900.0
"""Seconds: a machine may be busy with other things."""
PAUSE = 1.0
SAID = 300
"""Characters of a worker's last words that are repeated."""


class Kept:
    """A worker as a service manager keeps it.

    Attributes:
        peak: The largest resident memory of its lives that have ended, MiB.
    """

    def __init__(
        self, installation: Installation, say: Callable[[str], None], **environment: str
    ) -> None:
        self.peak = 0.0
        self._installation = installation
        self._say = say
        self._environment = environment
        self._leaving = False
        self._past: list[str] = []
        self._worker: Worker
        self._keeping: asyncio.Task[None]

    async def begin(self) -> None:
        """Start it."""
        self._worker = await self._installation.start(**self._environment)
        self._keeping = asyncio.create_task(self._keep())

    def leave(self) -> None:
        """Keep it no more; whoever takes its installation down ends it."""
        self._keeping.cancel()

    @property
    def lines(self) -> list[str]:
        """All that its lives have said."""
        return [*self._past, *self._worker.lines]

    def largest(self) -> float:
        """Return the largest resident memory of any of its lives so far, MiB."""
        if self._worker.process.returncode is None:
            self.peak = max(self.peak, peak_of(self._worker.process.pid))
        return self.peak

    async def assigned(self, since: int = 0) -> None:
        """Wait until it was given partitions of the first stage and of the last.

        Args:
            since: How many lines it had said before.
        """

        async def said() -> bool:
            lines = [line for line in self.lines[since:] if '"assigned"' in line]
            return all(any(name in line for line in lines) for name in ('"candles"', '"execution"'))

        await until(said, "a worker is given partitions", PATIENCE)

    async def end(self, number: signal.Signals) -> int:
        """End it by a signal for good; return its exit code."""
        self.largest()
        self._leaving = True
        self._worker.process.send_signal(number)
        return await asyncio.wait_for(self._worker.process.wait(), PATIENCE)

    async def _keep(self) -> None:
        while True:
            worker = self._worker
            code = await worker.process.wait()
            if self._leaving:
                return
            await asyncio.sleep(PAUSE)
            last = worker.lines[-1].strip() if worker.lines else "nothing"
            self._say(f"      a worker ended with {code} and is started again: {last[-SAID:]}")
            self._past += worker.lines
            self._worker = await self._installation.start(**self._environment)


class Crew:
    """Those who work on an installation.

    Args:
        installation: What they work on.
        say: Is told when one of them ends of itself.
        environment: Of each of them.
    """

    def __init__(
        self, installation: Installation, say: Callable[[str], None], **environment: str
    ) -> None:
        self._installation = installation
        self._say = say
        self._environment = environment
        self._hired: list[Kept] = []

    async def hire(self) -> Kept:
        """Start one more worker, and wait until it has been given partitions."""
        kept = Kept(self._installation, self._say, **self._environment)
        await kept.begin()
        self._hired.append(kept)
        await kept.assigned()
        return kept

    def leave(self) -> None:
        """Keep none of them any more."""
        for kept in self._hired:
            kept.leave()


@contextlib.asynccontextmanager
async def crew(
    installation: Installation, say: Callable[[str], None], **environment: str
) -> AsyncIterator[Crew]:
    """Keep workers while within."""
    made = Crew(installation, say, **environment)
    try:
        yield made
    finally:
        made.leave()
