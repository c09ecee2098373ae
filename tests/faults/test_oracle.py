"""The oracle sees each way in which a topic or the exchange's trades can be wrong."""

from __future__ import annotations

from decimal import Decimal

from app.core.events import Clock, Gap, Identity, Message, Resumed, Trades
from app.runtime.codec import encode
from app.runtime.ports import Stored
from tests.faults.oracle import Findings, _by_identity, _taken

X = "BINANCE:AAAUSDT"


def test_what_is_missing_too_much_or_other_is_told_apart() -> None:
    findings = Findings()
    findings.match("candles", {"1": b"a", "3": b"c", "4": b"x"}, {"1": b"a", "2": b"b", "4": b"d"})
    assert findings.compared["candles"] == 3
    assert findings.lost == ["candles: 2"]
    assert findings.doubled == ["candles: 3"]
    assert findings.different == ["candles: 4: was b'x', must be b'd'"]
    assert not findings.faultless


def stored(*values: bytes) -> list[Stored]:
    return [Stored("risk", 0, n, b"paper", value) for n, value in enumerate(values)]


def made(number: int, reason: str = "by hand") -> bytes:
    record = Resumed("paper", 60_000, 1, reason)
    return encode(Message(record, Identity("risk", "paper", "paper", number), "clock/A:X/1"))


def test_the_same_bytes_again_are_a_repeat_and_nothing_else_is() -> None:
    findings = Findings()
    assert len(_by_identity(findings, stored(made(1), made(2), made(1), made(3)))) == 3
    assert (findings.repeats, findings.different) == (1, [])
    _by_identity(findings, stored(made(1), made(1, "by magic")))
    assert len(findings.different) == 1


def test_a_number_left_out_is_seen() -> None:
    findings = Findings()
    assert len(_by_identity(findings, stored(made(1), made(3)))) == 1
    assert len(findings.different) == 1


def test_a_record_without_identity_on_a_topic_of_ours_is_seen() -> None:
    findings = Findings()
    assert _by_identity(findings, stored(encode(Message(Clock(X, 60_000, 1, 0))))) == {}
    assert len(findings.doubled) == 1


def trades(*ids: int) -> Trades:
    ones = (Decimal(1),) * len(ids)
    return Trades(X, ids, ids, ids, ids, ones, ones, (True,) * len(ids), 0)


def test_trades_are_taken_as_readers_take_them() -> None:
    jump = [trades(5, 6), trades(9, 10), trades(6, 7, 8), trades(9)]
    taken, gaps = _taken(jump, 5)
    assert list(taken) == [5, 6, 7, 8, 9]
    assert gaps == []


def test_only_a_gap_that_says_where_it_ends_is_passed() -> None:
    gap = [trades(5), Gap(X, 6, None, 5, 9, "lost"), trades(9), Gap(X, 6, 8, 5, 9, "lost")]
    taken, gaps = _taken([*gap, trades(7, 9)], 5)
    assert list(taken) == [5, 9]
    assert gaps == [(6, 8)]


def test_what_stands_between_the_last_trade_and_a_gap_is_not_declared() -> None:
    taken, gaps = _taken([trades(5), Gap(X, 8, 9, 5, 9, "lost"), trades(10)], 5)
    assert list(taken) == [5, 10]
    assert gaps == [(8, 9)]
