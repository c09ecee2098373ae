"""Bytes enter, whether they are a record leaves: judged from the documents, not by our decoder.

This is a second reading of the wire form, on Python's own JSON parser, with every field's range
written out by hand. It shares no line with `app`, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, NamedTuple, NoReturn

Rule = Callable[[Any], bool]


class Number(NamedTuple):
    """A number as it was written."""

    text: str
    whole: bool


class MalformedError(Exception):
    """The bytes were no record."""


class Reading(NamedTuple):
    """What bytes say when they are a record."""

    type: str
    fields: dict[str, Any]
    identity: tuple[str, str, str, int] | None


_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]*", re.ASCII)
_EXACT = Context(prec=200)
_MOST = 2**63 - 1
_YEAR_2200 = 7_258_118_400_000


# Rules for one value.


def whole(low: int, high: int) -> Rule:
    def check(value: Any) -> bool:
        return isinstance(value, Number) and value.whole and low <= int(value.text) <= high

    return check


def text(most: int = 10_000) -> Rule:
    return lambda value: isinstance(value, str) and len(value) <= most


def is_key(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100 and _KEY.fullmatch(value) is not None


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_real(value: Any) -> bool:
    return isinstance(value, Number) and not value.whole and abs(float(value.text)) != float("inf")


def is_base64(value: Any) -> bool:
    if not isinstance(value, str) or len(value) % 4:
        return False
    digits = value[:-2] + value[-2:].rstrip("=")
    return len(value) - len(digits) <= 2 and all(
        digit.isascii() and (digit.isalnum() or digit in "+/") for digit in digits
    )


def as_decimal(value: Any) -> Decimal | None:
    """Return the number that a string in fixed notation is; none if it is no such string."""
    if not isinstance(value, str):
        return None
    whole_part, point, fraction = value.removeprefix("-").partition(".")
    parts = [whole_part, fraction] if point else [whole_part]
    if not all(1 <= len(part) <= 40 and set(part) <= set("0123456789") for part in parts):
        return None
    if len(whole_part) > 1 and whole_part[0] == "0":
        return None
    found = _EXACT.create_decimal(value)
    return None if value[0] == "-" and not found else found


def decimal(low: Decimal | int, high: Decimal | int, places: int = 40) -> Rule:
    def check(value: Any) -> bool:
        found = as_decimal(value)
        if found is None or not low <= found <= high:
            return False
        return len(value.partition(".")[2].rstrip("0")) <= places

    return check


def one_of(*values: str) -> Rule:
    return lambda value: isinstance(value, str) and value in values


def maybe(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def several(rule: Rule, most: int = 100_000) -> Rule:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(rule, value))


def by_name(rule: Rule, names: Rule = is_key) -> Rule:
    def check(value: Any) -> bool:
        return isinstance(value, dict) and all(map(names, value)) and all(map(rule, value.values()))

    return check


def fields(**rules: Rule) -> Rule:
    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and value.keys() == rules.keys()
            and all(rule(value[name]) for name, rule in rules.items())
        )

    return check


def both(first: Rule, second: Rule) -> Rule:
    return lambda value: first(value) and second(value)


# The ranges as docs and docstrings give them.

COUNT = whole(0, _MOST)
ORDINAL = whole(1, _MOST)
TIME = whole(0, _YEAR_2200)
INTERVAL = whole(1, 86_400_000)
TEXT = text()
TINY = Decimal("1e-40")
PRICE = decimal(TINY, 10**15)
ENTERED_PRICE = decimal(TINY, 10**15, 12)
ENTERED_SIZE = decimal(0, 10**18, 12)
QUANTITY = decimal(0, 10**36)
AMOUNT = decimal(-(10**36), 10**36)
SHARE = decimal(0, 1)
SHARE_OF_8 = decimal(0, 1, 8)
POINTS = decimal(0, Decimal("9999.99999999"), 8)
VIEW = one_of("long", "short", "flat", "not_ready")
ACTION = one_of("halt", "resume", "flatten")
LIMITS = (
    "order_notional", "position_notional", "gross_notional", "daily_loss", "drawdown", "stale",
    "incomplete", "no_price", "no_short", "cash", "filter", "halted", "command",
)  # fmt: skip
STEPS = (
    "requested", "creating", "ready", "running", "finished", "failed", "deleting", "deleted",
)  # fmt: skip
LIMIT = one_of(*LIMITS)
STEP = one_of(*STEPS)
NEEDS = by_name(COUNT)


def _int(value: Number) -> int:
    return int(value.text)


def _ints(values: list[Number]) -> list[int]:
    return [int(value.text) for value in values]


def _rises(values: list[int]) -> bool:
    return all(after > before for before, after in itertools.pairwise(values))


def _even(row: dict[str, Any], names: str) -> bool:
    sizes = {len(row[name]) for name in names.split()}
    return len(sizes) == 1 and 1 <= min(sizes) <= 10_000


def _trades_fit(row: dict[str, Any]) -> bool:
    if not _even(row, "id first_id last_id time price quantity buyer_maker"):
        return False
    pairs = zip(_ints(row["first_id"]), _ints(row["last_id"]), strict=True)
    return _rises(_ints(row["id"])) and all(first <= last for first, last in pairs)


def _gap_fits(row: dict[str, Any]) -> bool:
    last = row["last_id"]
    if last is not None and _int(last) < _int(row["first_id"]):
        return False
    return _int(row["from_time"]) <= _int(row["to_time"])


def _history_fits(row: dict[str, Any]) -> bool:
    return _even(row, "time open high low close volume") and _rises(_ints(row["time"]))


def _account_fits(row: dict[str, Any]) -> bool:
    names = [strategy["name"] for strategy in row["strategies"]]
    return all(found and len(set(found)) == len(found) for found in (names, row["instruments"]))


def _epoch_fits(row: dict[str, Any]) -> bool:
    return _int(row["account"]["execution"]["latency"]) < _int(row["interval"])


def _listing_fits(row: dict[str, Any]) -> bool:
    return len(row["accounts"]) == len(row["numbers"])


def _candle_fits(row: dict[str, Any]) -> bool:
    prices = [as_decimal(row[name]) for name in ("low", "open", "close", "high")]
    known = [price for price in prices if price is not None]
    if known and (len(known) < 4 or prices[0] != min(known) or prices[3] != max(known)):
        return False
    if Decimal(row["taker_buy_volume"]) > Decimal(row["volume"]):
        return False
    first, last = row["first_id"], row["last_id"]
    if first is None or last is None:
        return first is last and _int(row["trades"]) == 0
    return bool(known) and _int(first) <= _int(last) and _int(row["trades"]) > 0


def _order_fits(row: dict[str, Any]) -> bool:
    limited = row["kind"] in ("limit", "stop_limit")
    stopped = row["kind"] in ("stop", "stop_limit")
    return limited == (row["limit_price"] is not None) and stopped == (
        row["stop_price"] is not None
    )


ACCOUNT = both(
    fields(
        name=is_key,
        quote=is_key,
        capital=ENTERED_SIZE,
        instruments=several(is_key),
        strategies=several(fields(name=is_key, parameters=by_name(TEXT))),
        allocation=fields(
            method=one_of("equal", "performance"), invested=SHARE_OF_8, lookback=COUNT
        ),
        risk=fields(
            order_notional=ENTERED_SIZE,
            position_notional=ENTERED_SIZE,
            gross_notional=ENTERED_SIZE,
            daily_loss=ENTERED_SIZE,
            drawdown=SHARE_OF_8,
            stale_after=COUNT,
            allow_short=is_flag,
        ),
        execution=fields(
            latency=whole(1, _YEAR_2200),
            slippage=POINTS,
            participation=SHARE_OF_8,
            maker_fee=POINTS,
            taker_fee=POINTS,
        ),
    ),
    _account_fits,
)
FILTERS = fields(
    tick_size=ENTERED_SIZE,
    lot_size=ENTERED_SIZE,
    minimum_quantity=ENTERED_SIZE,
    minimum_notional=ENTERED_SIZE,
)
ORDER = both(
    fields(
        order_id=TEXT,
        strategy=is_key,
        side=one_of("buy", "sell"),
        kind=one_of("market", "limit", "stop", "stop_limit"),
        quantity=QUANTITY,
        limit_price=maybe(PRICE),
        stop_price=maybe(PRICE),
        signal=TEXT,
    ),
    _order_fits,
)
MARKS = several(fields(instrument=is_key, price=maybe(PRICE), complete=is_flag, age=COUNT))
INSTRUCTIONS = several(fields(action=ACTION, command=TEXT))
HOLDING = fields(
    strategy=is_key, instrument=is_key, quantity=AMOUNT, cost=AMOUNT, realised=AMOUNT, fees=AMOUNT
)
PERFORMANCE = fields(
    strategy=is_key, realised=AMOUNT, unrealised=AMOUNT, fees=AMOUNT, profit=AMOUNT
)
TARGET = fields(strategy=is_key, instrument=is_key, quantity=AMOUNT, held=AMOUNT, signal=TEXT)

RECORDS: dict[str, Rule] = {
    "trades": both(
        fields(
            instrument=is_key,
            id=several(COUNT),
            first_id=several(COUNT),
            last_id=several(COUNT),
            time=several(TIME),
            price=several(ENTERED_PRICE),
            quantity=several(ENTERED_SIZE),
            buyer_maker=several(is_flag),
            age=COUNT,
        ),
        _trades_fit,
    ),
    "clock": fields(instrument=is_key, time=TIME, last_id=COUNT, age=COUNT),
    "gap": both(
        fields(
            instrument=is_key,
            first_id=COUNT,
            last_id=maybe(COUNT),
            from_time=TIME,
            to_time=TIME,
            reason=TEXT,
        ),
        _gap_fits,
    ),
    "history": both(
        fields(
            instrument=is_key,
            interval=INTERVAL,
            time=several(TIME),
            open=several(ENTERED_PRICE),
            high=several(ENTERED_PRICE),
            low=several(ENTERED_PRICE),
            close=several(ENTERED_PRICE),
            volume=several(ENTERED_SIZE),
        ),
        _history_fits,
    ),
    "epoch": both(
        fields(
            instrument=is_key,
            account=ACCOUNT,
            number=ORDINAL,
            filters=FILTERS,
            base=is_key,
            interval=INTERVAL,
            version=COUNT,
        ),
        _epoch_fits,
    ),
    "join": fields(
        instrument=is_key,
        account=is_key,
        epoch=COUNT,
        time=TIME,
        next_id=COUNT,
        series=one_of("aggregate", "raw"),
    ),
    "leave": fields(instrument=is_key, account=is_key, epoch=COUNT, time=TIME, reason=TEXT),
    "listing": both(
        fields(
            instrument=is_key,
            accounts=several(ACCOUNT),
            numbers=several(ORDINAL),
            interval=INTERVAL,
            retired=NEEDS,
        ),
        _listing_fits,
    ),
    "candle": both(
        fields(
            instrument=is_key,
            interval=INTERVAL,
            time=TIME,
            open=maybe(PRICE),
            high=maybe(PRICE),
            low=maybe(PRICE),
            close=maybe(PRICE),
            volume=QUANTITY,
            quote_volume=QUANTITY,
            taker_buy_volume=QUANTITY,
            trades=COUNT,
            first_id=maybe(COUNT),
            last_id=maybe(COUNT),
            complete=is_flag,
            age=COUNT,
            revision=COUNT,
        ),
        _candle_fits,
    ),
    "signal": fields(
        account=is_key,
        instrument=is_key,
        strategy=is_key,
        time=TIME,
        epoch=COUNT,
        view=VIEW,
        reason=TEXT,
        indicators=by_name(is_real),
        price=maybe(PRICE),
        complete=is_flag,
        age=COUNT,
    ),
    "command": fields(account=is_key, command_id=is_key, action=ACTION, by=TEXT, reason=TEXT),
    "portfolio": fields(
        account=is_key,
        time=TIME,
        epoch=COUNT,
        cash=AMOUNT,
        equity=AMOUNT,
        holdings=several(HOLDING),
        marks=MARKS,
        opinions=several(fields(strategy=is_key, instrument=is_key, view=VIEW, signal=TEXT)),
        instructions=INSTRUCTIONS,
    ),
    "allocated": fields(
        account=is_key,
        time=TIME,
        epoch=COUNT,
        equity=AMOUNT,
        cash=AMOUNT,
        weights=several(fields(strategy=is_key, share=SHARE)),
        performance=several(PERFORMANCE),
        targets=several(TARGET),
        marks=MARKS,
        instructions=INSTRUCTIONS,
    ),
    "orders": fields(
        account=is_key, instrument=is_key, time=TIME, epoch=COUNT, orders=several(ORDER)
    ),
    "refusal": fields(
        account=is_key,
        instrument=is_key,
        strategy=is_key,
        time=TIME,
        epoch=COUNT,
        limit=LIMIT,
        wanted=AMOUNT,
        allowed=AMOUNT,
        reason=TEXT,
        signal=TEXT,
    ),
    "halted": fields(
        account=is_key, time=TIME, epoch=COUNT, limit=LIMIT, reason=TEXT, flatten=is_flag
    ),
    "resumed": fields(account=is_key, time=TIME, epoch=COUNT, reason=TEXT),
    "risk_report": fields(
        account=is_key,
        time=TIME,
        epoch=COUNT,
        equity=AMOUNT,
        day_start=AMOUNT,
        peak=AMOUNT,
        daily_loss=QUANTITY,
        drawdown=AMOUNT,
        gross_notional=QUANTITY,
        halted=is_flag,
        orders=COUNT,
        refusals=COUNT,
    ),
    "fill": fields(
        account=is_key,
        instrument=is_key,
        order_id=TEXT,
        part=ORDINAL,
        strategy=is_key,
        side=one_of("buy", "sell"),
        decision_time=TIME,
        time=TIME,
        trade_id=COUNT,
        price=PRICE,
        quantity=QUANTITY,
        fee=QUANTITY,
        liquidity=one_of("maker", "taker"),
    ),
    "booked": fields(
        account=is_key,
        instrument=is_key,
        time=TIME,
        outcomes=several(fields(order_id=TEXT, filled=QUANTITY, cancelled=QUANTITY)),
        final=is_flag,
    ),
    "dead_letter": fields(
        topic=is_key,
        partition=COUNT,
        offset=COUNT,
        key=TEXT,
        stage=is_key,
        reason=TEXT,
        payload=is_base64,
        size=COUNT,
    ),
    "snapshot": fields(
        stage=is_key, key=is_key, version=COUNT, time=TIME, needs=NEEDS, body=text(2**21)
    ),
    "fork": fields(
        fork_id=is_key, step=STEP, time=TIME, at=maybe(TIME), backend=is_key, source=TEXT,
        handle=maybe(TEXT), expires=TIME, detail=TEXT,
    ),
    "state": fields(
        stage=is_key, key=is_key, token=COUNT, version=COUNT, time=TIME, needs=NEEDS,
        body=text(2**21),
    ),
    "claim": fields(stage=is_key, partition=COUNT, owner=TEXT),
    "progress": fields(
        stage=is_key,
        partition=COUNT,
        token=COUNT,
        partitions=COUNT,
        run=TEXT,
        version=COUNT,
        through=NEEDS,
        time=TIME,
        waiting=by_name(TEXT),
    ),
}  # fmt: skip

PASSED_ON = ("epoch", "history", "join", "leave")
BY_ITSELF = (
    *PASSED_ON, "trades", "clock", "gap", "listing", "command", "dead_letter", "snapshot", "fork",
    "state", "claim", "progress",
)  # fmt: skip


@functools.lru_cache(maxsize=8)  # every reader of a case asks again
def reads(raw: bytes) -> Reading | None:
    """Return what a record says; none for what is malformed."""
    try:
        return _read(raw)
    except MalformedError:
        return None


def _read(raw: bytes) -> Reading:
    document = _parse(raw)
    if not isinstance(document, dict) or not _is_tag(document.get("type")):
        raise MalformedError
    tag = document.pop("type")
    identity = None
    if tag not in BY_ITSELF or (tag in PASSED_ON and "id" in document):
        identity = _identity(document.pop("id", None))
        _check_origin(document.pop("origin", None))
    if not RECORDS[tag](document):
        raise MalformedError
    return Reading(tag, document, identity)


def _is_tag(value: Any) -> bool:
    return isinstance(value, str) and value in RECORDS


def says(raw: bytes) -> Any:
    """Return what JSON says, so that two texts that say the same are equal."""
    return _plain(_parse(raw))


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return int(value.text) if value.whole else float(value.text)
    if isinstance(value, str):
        return value if as_decimal(value) is None else as_decimal(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _parse(raw: bytes) -> Any:
    if len(raw) > 2 * 1024 * 1024:
        raise MalformedError
    try:
        document = json.loads(
            raw.decode(),
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_float=lambda digits: Number(digits, whole=False),
            parse_constant=_no_number,
        )
        _check_texts(document)
    except (ValueError, RecursionError) as error:
        raise MalformedError from error
    return document


def _whole(digits: str) -> Number:
    if digits == "-0":
        raise MalformedError
    return Number(digits, whole=True)


def _no_number(_: str) -> NoReturn:
    raise MalformedError


def _finite(digits: str) -> float:
    if abs(float(digits)) == float("inf"):
        raise MalformedError
    return float(digits)


_FINITE: dict[str, Any] = {"parse_float": _finite, "parse_int": _finite}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError
    return found


def _check_texts(value: Any) -> None:
    """Refuse what UTF-8 or PostgreSQL can't hold."""
    if isinstance(value, str):
        value.encode()
        if "\x00" in value:
            raise MalformedError
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_texts(name)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)


def _identity(value: Any) -> tuple[str, str, str, int]:
    parts = value.split("/") if isinstance(value, str) else []
    if len(parts) != 4 or not all(map(is_key, parts[:3])):
        raise MalformedError
    number = parts[3]
    if not (set(number) <= set("0123456789") and number[:1] > "0" and int(number[:30]) <= _MOST):
        raise MalformedError
    return (*parts[:3], int(number))  # type: ignore[return-value]


def _check_origin(value: Any) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= 500:
        raise MalformedError
    if not all(letter.isascii() and (letter.isalnum() or letter in ":_.-/,") for letter in value):
        raise MalformedError


# Where a record may stand, by topic: the field that is its key, and the types.

STANDS: dict[str, tuple[str, str]] = {
    "trades": ("instrument", "trades clock gap history epoch join leave"),
    "instruments": ("instrument", "listing"),
    "candles": ("instrument", "candle history epoch join leave"),
    "signals": ("account", "signal command epoch join leave"),
    "portfolio": ("account", "portfolio epoch"),
    "allocations": ("account", "allocated epoch"),
    "orders": ("instrument", "orders"),
    "risk": ("account", "refusal halted resumed risk_report"),
    "fills": ("account", "fill booked"),
    "snapshots": ("key", "snapshot"),
    "dead-letters": ("topic", "dead_letter"),
    "forks": ("fork_id", "fork"),
    "state-candles": ("key", "state claim progress"),
}
ENTERED = ("trades", "instruments", "snapshots", "dead-letters", "forks", "state-candles")
FOREIGN = {"trades": "candles", "signals": "portfolio", "instruments": "market"}


def may_stand(topic: str, key: bytes | None, raw: bytes) -> bool:
    """Return whether bytes are a record that may stand on a topic under a key."""
    reading = reads(raw)
    if reading is None:
        return False
    field, types = STANDS[topic]
    if reading.type not in types.split():
        return False
    if (reading.identity is None) != (topic in ENTERED or reading.type == "command"):
        return False
    if topic == "state-candles" and reading.fields["stage"] != "candles":
        return False
    due = _due_key(reading, field)
    owner = due if reading.identity is None else reading.identity[2]
    return key == due.encode() == owner.encode()


def _due_key(reading: Reading, field: str) -> str:
    if reading.type in ("claim", "progress"):
        return f"!{reading.type}"
    due = reading.fields[field]
    return str(due["name"] if isinstance(due, dict) else due)


@functools.lru_cache(maxsize=8)
def stops(topic: str, raw: bytes) -> bool:
    """Return whether malformed bytes must stop their reader: only where they are, or claim to be,
    a record of one of our stages.
    """
    if topic not in FOREIGN:
        return True
    if topic != "signals":
        return False
    try:
        # Which of two fields of one name counts doesn't matter to whether a text claims to be ours.
        document = json.loads(raw.decode(), parse_constant=_no_number, **_FINITE)
        json.dumps(document, ensure_ascii=False).encode()
    except (MalformedError, ValueError, RecursionError):
        return False
    return (
        isinstance(document, dict)
        and "id" in document
        and any(document.get("type") == tag for tag in ("signal", "epoch", "join", "leave"))
    )
