"""A run's archive and a fork's own records enter; what explains a decision of the fork leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.core.events import Epoch, Inbound, Message, Output
from app.replay.explain.archive import Archive, Wanted, ordered
from app.replay.explain.row import Row, rows_of
from app.replay.explain.tree import Node

_MARKET = frozenset({"trades", "clocks", "gaps", "memberships", "candles", "commands"})
_RULES = frozenset({"accounts", "instruments"})
_NOWHERE = -1


class Beside:
    """A fork's archive: its own records from a time on, its parent's of the time before.

    Up to its first difference a fork has decided what its parent had, so the parent's records
    tell the same; the market is always the parent's.
    """

    def __init__(
        self, parent: Archive, outputs: Iterable[Output], rules: Iterable[Epoch], since: int
    ) -> None:
        """Begin.

        Args:
            parent: The run's archive.
            outputs: The fork's own records.
            rules: The fork's configurations.
            since: From when on its own are whole, milliseconds since the epoch UTC.
        """
        self._parent = parent
        self._since = since
        self._own: list[Row] = []
        for number, output in enumerate(outputs):
            if not isinstance(output.message.record, Epoch):
                rows = rows_of(Inbound(output.message, output.topic, _NOWHERE, number))
                self._own += [row for row in rows if row.time >= since]
        self._rules = [
            row
            for epoch in rules
            for row in rows_of(Inbound(Message(epoch), "portfolio", _NOWHERE, 0))
        ]

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return the rows that any of these want, by time and then by place, each once."""
        found = await self._parent.rows([each for one in wanted if (each := self._before(one))])
        for one in wanted:
            own = self._rules if one.table in _RULES else self._own
            found += [
                row
                for row in own
                if row.table == one.table and one.fits(row) and _is_of(row, one.key)
            ]
        unique = {(row.table, *map(str, row.fields.values())): row for row in found}
        return ordered(list(unique.values()))

    async def tape(self, candle: Row) -> list[Row]:
        """Return what a candle was made of: the parent's trades."""
        return await self._parent.tape(candle)

    def _before(self, wanted: Wanted) -> Wanted | None:
        """Return what of it the parent tells."""
        if wanted.table in _MARKET | _RULES:
            return wanted
        last = min(wanted.last, self._since - 1)
        return replace(wanted, last=last) if wanted.first <= last else None


def _is_of(row: Row, key: str) -> bool:
    column = "instrument" if row.table == "orders" else "account"
    return bool(row.fields.get(column) == key)


def placeless(tree: Node) -> Node:
    """Return a tree in which a fork's own records, which stand nowhere, name no place."""
    own = tree.place is not None and tree.place[1] == _NOWHERE
    return replace(
        tree,
        place=None if own else tree.place,
        causes=tuple(placeless(each) for each in tree.causes),
        effects=tuple(placeless(each) for each in tree.effects),
    )
