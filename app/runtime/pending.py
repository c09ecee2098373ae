"""Records enter as they are read or handed over; each leaves once, in its partition's order."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from app.runtime.ports import Place, Stored


class Pending:
    """What was read and not yet taken, of one generation of the group.

    A record may come twice, handed over by who appended it and then as it was read: the second is
    left out.

    Attributes:
        count: How many records.
        size: How many bytes they have.
    """

    def __init__(self) -> None:
        self.count = self.size = 0
        self._generation = 0
        self._batches: dict[Place, list[Stored]] = {}
        self._due: dict[Place, int] = {}

    def expect(self, generation: int, due: Mapping[Place, int]) -> None:
        """Hold nothing any more; expect of each partition the record at an offset."""
        self.clear()
        self._generation = generation
        self._due = dict(due)

    def add(self, generation: int, batches: Mapping[Place, list[Stored]]) -> bool:
        """Add what was read; return whether anything of it was new.

        What is held of an older generation is dropped: its new owner reads it.
        """
        self._enter(generation)
        before = self.count
        for place, batch in batches.items():
            due = self._due.get(place, 0)
            self._add(place, [stored for stored in batch if stored.offset >= due])
        return self.count > before

    def hand(
        self, generation: int, appended: Iterable[Stored], held: Container[Place] = ()
    ) -> bool:
        """Add what was appended as far as it is due next; return whether anything was.

        Where somebody else's record stands between, reading has to bring both. Nothing is added of
        partitions that are `held` back.
        """
        self._enter(generation)
        before = self.count
        for stored in appended:
            place = Place(stored.topic, stored.partition)
            if self._due.get(place) == stored.offset and place not in held:
                self._add(place, [stored])
        return self.count > before

    def first(self) -> Place:
        """Return a partition of which something is pending."""
        return next(iter(self._batches))

    def pop(self) -> tuple[int, dict[Place, list[Stored]]]:
        """Return everything and its generation, and hold nothing any more."""
        batches = self._batches
        self.clear()
        return self._generation, batches

    def clear(self) -> None:
        """Hold nothing any more."""
        self._batches = {}
        self.count = self.size = 0

    def _enter(self, generation: int) -> None:
        if generation != self._generation:
            self.expect(generation, {})

    def _add(self, place: Place, batch: list[Stored]) -> None:
        if batch:
            self._batches.setdefault(place, []).extend(batch)
            self._due[place] = batch[-1].offset + 1
            self.count += len(batch)
            self.size += sum(len(stored.value or b"") for stored in batch)
