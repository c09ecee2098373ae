"""Two tiny stages for the simulation: pairs of clocks to accounts, then a join over instruments."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from app.core.events import Booked, Clock, Inbound, Message, Output, Resumed
from app.core.flow import Holds, Inbox, Outbox, Stage
from app.runtime.codec import encode
from app.runtime.ports import Entry
from tests.simulation.parts import Scenario

ACCOUNTS = ("left", "right")
INSTRUMENTS = ("A:X", "A:Y", "A:Z")


@dataclass(frozen=True, slots=True)
class PairState:
    last: int
    sent: dict[str, int]


class Pairs:
    """Takes clocks in order of their id, and books every second one for each account."""

    def __init__(self, key: str, state: PairState | None) -> None:
        self._key = key
        self._last = self._received = state.last if state else 0
        self._outbox = Outbox("pairs", key, state.sent if state else None)
        self._durable = state or PairState(0, {})
        self._holds = Holds()
        self._held: list[Inbound] = []
        self.revision = self.time = 0

    def take(self, inbound: Inbound) -> list[Output]:
        clock = inbound.record
        assert isinstance(clock, Clock)
        if clock.last_id != self._received + 1:
            return []
        self._received = clock.last_id
        self._holds.hold(inbound)
        self._held.append(inbound)
        if len(self._held) < 2:
            return []
        outputs = [
            self._outbox.send(
                "fills", account, Booked(account, self._key, clock.time, (), False), clock.name()
            )
            for account in ACCOUNTS
        ]
        for held in self._held:
            self._holds.release(held)
        self._held = []
        self._last, self.time, self.revision = self._received, clock.time, self.revision + 1
        self._durable = PairState(self._last, dict(self._outbox.sent))
        return outputs

    def durable(self) -> PairState:
        return self._durable

    def needs(self) -> dict[str, int]:
        return self._holds.oldest()

    def waiting(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class JoinState:
    time: int
    seen: dict[str, int]
    sent: dict[str, int]


class Joined:
    """Resumes an account at T once every instrument is booked through T."""

    def __init__(self, key: str, state: JoinState | None) -> None:
        self._key = key
        self._inbox = Inbox(state.seen if state else None)
        self._outbox = Outbox("joined", key, state.sent if state else None)
        self._durable = state or JoinState(0, {}, {})
        self._buffer: dict[int, dict[str, Inbound]] = {}
        self.revision = 0
        self.time = self._durable.time

    def take(self, inbound: Inbound) -> list[Output]:
        booked = inbound.record
        assert isinstance(booked, Booked)
        if not self._inbox.accept(inbound):
            return []
        self._buffer.setdefault(booked.time, {})[booked.instrument] = inbound
        outputs: list[Output] = []
        while self._buffer and len(self._buffer[min(self._buffer)]) == len(INSTRUMENTS):
            outputs.append(self._act(min(self._buffer)))
        return outputs

    def _act(self, time: int) -> Output:
        held = self._buffer.pop(time)
        for inbound in held.values():
            self._inbox.absorb(inbound)
        origin = held[max(held)].message.name
        output = self._outbox.send("risk", self._key, Resumed(self._key, time, 1, "all in"), origin)
        self.time, self.revision = time, self.revision + 1
        self._durable = JoinState(time, dict(self._inbox.seen), dict(self._outbox.sent))
        return output

    def durable(self) -> JoinState:
        return self._durable

    def needs(self) -> dict[str, int]:
        return self._inbox.holds.oldest()

    def waiting(self) -> str:
        return ""


STAGES = (
    Stage("pairs", ("trades",), ("fills",), "instrument", Pairs, PairState),
    Stage("joined", ("fills",), ("risk",), "account", Joined, JoinState),
)
COUNTS = {
    **dict.fromkeys(("trades", "fills", "risk", "state-pairs", "state-joined"), 2),
    **dict.fromkeys(("candles", "signals", "portfolio", "allocations", "orders"), 0),
    **dict.fromkeys(("forks", "snapshots"), 0),
    "dead-letters": 1,
}


def clocks(count: int) -> list[Entry]:
    """Return `count` clocks for every instrument, one instrument after another in turn."""
    return [clock(name, n) for n in range(1, count + 1) for name in INSTRUMENTS]


def clock(name: str, number: int) -> Entry:
    """Return one clock of an instrument."""
    return Entry("trades", name.encode(), encode(Message(Clock(name, 1000 * number, number, 0))))


def expected(count: int) -> dict[tuple[str, int], str]:
    """Return, computed without any of the code under test, what `risk` must hold by identity."""
    return {
        (account, n): f"pairs/{INSTRUMENTS[-1]}/{account}/{n}"
        for account in ACCOUNTS
        for n in range(1, count // 2 + 1)
    }


@functools.cache
def scenario(count: int) -> Scenario:
    """Return that many clocks for every instrument as a world takes them."""
    return Scenario(f"toys {count}", STAGES, COUNTS, (tuple(clocks(count)),))
