"""A column of decimals as one text: what is held for long and looked at now and then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Self, TypeVar, overload

from app.core.decimals import plain

Item = TypeVar("Item", Decimal, Decimal | None)
"""Decimal; or Decimal | None, for a column in which some may be missing."""

_END = ","


class Written(Sequence[Item]):
    """Decimals in their one text, each with a comma after it; of what is missing only that.

    A number takes its digits there, 5 to 15 bytes, and as a decimal in a tuple 112. As a tuple, it
    can't be changed; adding and slicing make others. It is no key: no record is one.

    Attributes:
        text: All of them.
    """

    __slots__ = ("text",)

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.text = "".join(("" if item is None else plain(item)) + _END for item in items)

    def texts(self) -> list[str]:
        """Return the text of each number, empty where it is missing."""
        return self.text.split(_END)[:-1]

    def __len__(self) -> int:
        return self.text.count(_END)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Item | Self:
        if isinstance(index, slice):
            return self._rows(index)
        item: Item = _item(self.texts()[index])
        return item

    def __iter__(self) -> Iterator[Item]:
        return map(_item, self.texts())

    def __add__(self, other: Self) -> Self:
        return self._of(self.text + other.text)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Written) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Written({tuple(self)!r})"

    def _rows(self, rows: slice) -> Self:
        start, stop, step = rows.indices(len(self))
        if (stop, step) == (len(self), 1):  # every candle that closes lets go of the oldest
            return self._of(self.text.split(_END, start)[-1])
        return self._of("".join(text + _END for text in self.texts()[rows]))

    def _of(self, text: str) -> Self:
        made = self.__new__(type(self))
        made.text = text
        return made


def _item(text: str) -> Any:
    # A column of Decimal was made of nothing else, so that it has no empty text.
    return Decimal(text) if text else None
