"""Signs of life of instruments enter; whose status at the exchange is to be looked at leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class _Watched:
    heard: float
    looked: float
    pause: float


class Vigil:
    """Looks at every instrument now and then, and soon at one that has fallen silent.

    Streams tick every second while a symbol is traded, whether or not anybody trades. Silence that
    turns out to mean nothing is looked at again after twice the time.

    Args:
        silence: Seconds without a sign of life after which an instrument is looked at.
        pause: Seconds between two looks at one that is well.
    """

    def __init__(self, silence: float, pause: float) -> None:
        self._silence = silence
        self._pause = pause
        self._watched: dict[str, _Watched] = {}

    def heard(self, instrument: str, now: float) -> None:
        """Take a sign of life; `now` is in seconds of the monotonic clock, as everywhere here."""
        watched = self._watch(instrument, now)
        watched.heard = now
        watched.pause = self._silence

    def forget(self, instrument: str) -> None:
        """Watch an instrument no more."""
        self._watched.pop(instrument, None)

    def due(self, instruments: Iterable[str], now: float) -> list[str]:
        """Return those to look at now, which counts as done; of the silent ones only one."""
        watched = {name: self._watch(name, now) for name in instruments}
        due = [name for name, each in watched.items() if now - each.looked >= self._pause]
        silent = [
            name
            for name, each in watched.items()
            if now - each.heard >= self._silence and now - each.looked >= each.pause
        ]
        # One at a time: where all are silent it is the connection, and requests are counted.
        for name in [name for name in silent if name not in due][:1]:
            watched[name].pause *= 2
            due.append(name)
        for name in due:
            watched[name].looked = now
        return due

    def _watch(self, instrument: str, now: float) -> _Watched:
        return self._watched.setdefault(instrument, _Watched(now, now, self._silence))
