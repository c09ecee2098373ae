"""The forks on record and the copies that are there enter; what no process ended is brought on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.core.events import ForkStep
from app.errors import LockstepError
from app.forks.agent import ForkAgent
from app.forks.backend import Copy
from app.forks.lives import Life
from app.forks.verdict import Verdict, judge

AFTERWARDS = 86_400_000
"""For so many milliseconds after its end a copy of a fork that still appears is deleted."""


class Sweep:
    """Looks at every fork once; several at once do no harm.

    Args:
        agent: Whose forks.
        patience: For how many milliseconds after a step its maker may still be at work.
        ready_within: Seconds to wait for a copy that says it is ready to let us connect.
    """

    def __init__(
        self, agent: ForkAgent, patience: int = 300_000, ready_within: float = 60.0
    ) -> None:
        self._agent = agent
        self._patience = patience
        self._ready_within = ready_within
        self._with: dict[Verdict, Callable[[Life, Copy], Awaitable[str]]] = {
            Verdict.ADOPT: self._adopt,
            Verdict.FINISH: self._finish,
            Verdict.DELETE: self._delete,
        }
        self._without: dict[Verdict, Callable[[Life], Awaitable[str]]] = {
            Verdict.FORGET: self._forget,
            Verdict.GIVE_UP: self._give_up,
        }

    async def run(self) -> list[str]:
        """Do what there is to do; return a sentence for each thing that was done or went wrong.

        Raises:
            BackendError: The back end can't be asked at all.
        """
        lives = {life.fork_id: life for life in await self._agent.forks()}
        now = self._agent.ledger.now()
        if all(life.over and now > life.since + AFTERWARDS for life in lives.values()):
            return []
        copies = await self._agent.backend.copies()
        named = {copy.name for copy in copies}
        pairs: list[tuple[Life, Copy | None]] = [
            (lives[copy.name], copy) for copy in copies if copy.name in lives
        ]
        pairs += [(life, None) for name, life in lives.items() if name not in named]
        said = [await self._one(life, copy) for life, copy in pairs]
        return [sentence for sentence in said if sentence]

    async def _one(self, life: Life, copy: Copy | None) -> str:
        # Read again: the list took time, and others are at work.
        try:
            life = await self._agent.fork(life.fork_id)
            verdict = judge(life, copy, self._agent.ledger.now(), self._patience)
            if copy is not None and verdict in self._with:
                return await self._with[verdict](life, copy)
            return await self._without[verdict](life) if verdict in self._without else ""
        except LockstepError as error:
            return f"{life.fork_id}: {error}"

    async def _adopt(self, life: Life, copy: Copy) -> str:
        await self._agent.adopt(life, copy)
        return f"{life.fork_id} has a copy nobody had written down: {copy.handle}"

    async def _finish(self, life: Life, copy: Copy) -> str:
        await self._agent.finish(copy, self._ready_within)
        return f"{life.fork_id} is ready"

    async def _delete(self, life: Life, copy: Copy) -> str:
        reason = _reason(life, copy, self._agent.ledger.now())
        second = life.handle not in (None, copy.handle)
        life = await self._agent.adopt(life, copy)
        if second or life.step is ForkStep.DELETED:
            await self._agent.backend.delete(life.fork_id, copy.handle)
        else:
            await self._agent.end(life, reason)
        return f"{life.fork_id} was deleted: {reason}"

    async def _forget(self, life: Life) -> str:
        # Once more: a list may be behind.
        if await self._agent.backend.find(life.fork_id) is not None:
            return ""
        await self._agent.take(life, ForkStep.DELETED, "no copy is there")
        return f"{life.fork_id} is gone"

    async def _give_up(self, life: Life) -> str:
        await self._agent.take(life, ForkStep.FAILED, "no copy appeared")
        return f"{life.fork_id} never appeared"


def _reason(life: Life, copy: Copy, now: int) -> str:
    if life.step is ForkStep.FAILED:
        return life.detail
    if life.step in (ForkStep.DELETING, ForkStep.DELETED):
        return "its deletion was not completed"
    if life.handle not in (None, copy.handle):
        return "a second copy of one fork"
    return "its time is over" if now >= life.expires else copy.detail or "its copy failed"
