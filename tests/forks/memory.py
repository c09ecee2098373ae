"""A world in memory whose processes can be killed at any of their effects."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.forks.backend import (
    BackendUnavailableError,
    Copy,
    CopyFailedError,
    GuardError,
    Moment,
    Phase,
    Tell,
    silent,
)
from app.forks.guard import refusal
from app.runtime.ports import Entry, Place, Stored
from app.storage.database import DatabaseSettings

SOURCE = "source"
PREFIX = "fm-"


class Killed(BaseException):
    """The process is no more: nothing it still tries has an effect."""


@dataclass
class World:
    """What outlives every process.

    Attributes:
        entries: The log.
        copies: What stands at the back end, by its id.
        made: The ids of the copies our agents made.
        deleted: The ids that were deleted.
        now: Milliseconds.
        lost: How many of the next answers to a `create` are lost,
        unmade: and whether nothing was made then,
        late: or it was, but shows only once it is let.
        hidden: How many of the next lists leave the copies out.
    """

    entries: list[Stored] = field(default_factory=list)
    copies: dict[str, Copy] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    now: int = 1_000_000
    lost: int = 0
    unmade: bool = False
    late: list[Copy] | None = None
    hidden: int = 0
    number: int = 0

    def add(self, copy: Copy) -> None:
        self.copies[copy.handle] = copy

    def set_phase(self, handle: str, phase: Phase) -> None:
        self.copies[handle] = dataclasses.replace(self.copies[handle], phase=phase)


class Process:
    """One process of ours: killed after so many effects, never where that is None."""

    def __init__(self, world: World, effects: int | None = None) -> None:
        self.world = world
        self._left = effects

    def effect(self) -> None:
        if self._left is not None:
            if self._left <= 0:
                raise Killed
            self._left -= 1


class MemoryLog:
    """The topic `forks`; see `Log`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        await asyncio.sleep(0)  # others go on meanwhile
        self._process.effect()
        stored = self._process.world.entries
        for entry in entries:
            stored.append(Stored(entry.topic, 0, len(stored), entry.key, entry.value))
        self._process.effect()
        return []

    async def read(self, _: Place, start: int | None = None) -> list[Stored]:
        assert start is None
        return list(self._process.world.entries)


class MemoryBackend:
    """Copies in memory; see `Backend`."""

    name = "memory"

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def source(self) -> str:
        return SOURCE

    async def check(self) -> None:
        self._process.effect()

    async def create(self, name: str, _: Moment) -> Copy:
        self._process.effect()
        world = self._world
        lost, world.lost = world.lost > 0, max(0, world.lost - 1)
        if lost and world.unmade:
            raise BackendUnavailableError("lost")
        world.number += 1
        copy = Copy(name, f"id{world.number}", SOURCE, standby=False, environment="DEV",
                    phase=Phase.CREATING)  # fmt: skip
        world.made.add(copy.handle)
        if lost and world.late is not None:
            world.late.append(copy)
        else:
            world.add(copy)
        self._process.effect()
        if lost:
            raise BackendUnavailableError("lost")
        return copy

    async def find(self, name: str) -> Copy | None:
        found = [item for item in await self.copies() if (item.name, item.source) == (name, SOURCE)]
        return found[0] if found else None

    async def copies(self) -> list[Copy]:
        self._process.effect()
        if self._world.hidden:
            self._world.hidden -= 1
            return []
        return [item for item in self._world.copies.values() if item.name.startswith(PREFIX)]

    async def wait(self, copy: Copy, patience: float, tell: Tell = silent) -> Copy:
        self._process.effect()
        tell(f"{copy.name} is not ready yet")
        assert patience > 0
        found = self._world.copies.get(copy.handle)
        if found is None or found.phase in (Phase.FAILED, Phase.DELETING):
            raise CopyFailedError("lost")
        self._world.set_phase(copy.handle, Phase.READY)
        return self._world.copies[copy.handle]

    async def connect(self, copy: Copy) -> DatabaseSettings:
        return DatabaseSettings("h", 1, copy.handle, "u", "p")

    async def delete(self, name: str, handle: str) -> None:
        self._process.effect()
        copy = self._world.copies.get(handle)
        if copy is None:
            return
        reason = refusal(copy, name=name, handle=handle, source=SOURCE, prefix=PREFIX)
        if reason:
            raise GuardError(reason)
        self._world.deleted.append(handle)
        del self._world.copies[handle]
        self._process.effect()

    async def close(self) -> None:
        pass
