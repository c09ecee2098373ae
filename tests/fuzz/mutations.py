"""A valid record and a seeded chance enter, what it has become leaves: most often malformed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fuzz.samples import Sample
from tests.fuzz.tree import Pairs, Raw, Slot, arrays, get, objects, parse, put, render, slots

INTEGERS = (
    "-1", "-0", "0", "1", "1.0", "1e3", "01", "+1", "1.", ".5", "0x10", "1_000", "NaN", "Infinity",
    "-Infinity", "1e999", "-1e999", "1e-400", "9223372036854775807", "9223372036854775808",
    "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1" * 30, "1" * 400,
    "7258118400000", "7258118400001", "86400001", "1.5", "٣", "",
)  # fmt: skip
DECIMALS = (
    "", "NaN", "sNaN", "Infinity", "-Infinity", "1e5", "1E+400000000", "1e-400000000", "0x10",
    "1_000", " 1", "1 ", "1\n", "1,2", "1,1", "٣", "\uff11", "+1", "-1", "-0", "-0.0", "0", "00",
    "01", "1.", ".5", "1..2", "--1", "9" * 40, "9" * 41, "0." + "1" * 12, "0." + "1" * 13,
    "0." + "1" * 40, "0." + "1" * 41, "1000000000000001", "1000000000000000001", "1" + "0" * 36,
    "1" + "0" * 37, "0.00000001", "0.000000001", "1.0001", "10000", "-5.5", "²", "½", "1e", "inf",
    "∞",
)  # fmt: skip
TEXTS = (
    "", " ", "a/b", "/", "-a", ".", "é", "A\x00", "\ud800", "x" * 100, "x" * 101, "x" * 10_001,
    "null", "true", "BUY", "Long", "momentum ", "momentum\n", "\uff11", "a\u202eb", "main", "X:Y",
)  # fmt: skip
IDENTITIES = (
    "risk/a/a/0", "risk/a/a/01", "risk/a/a/-1", "risk/a/a/+1", "risk/a/a/1.0", "risk/a/a/1e3",
    "risk/a/a/", "risk//a/1", "/a/a/1", "risk/a/1", "risk/a/a/a/1", "risk/a/a/1/",
    "risk/a/a/\uff11",
    "risk/a/a/9223372036854775807", "risk/a/a/9223372036854775808", "risk/a/a/" + "9" * 19,
    "risk/a/a/" + "1" * 5_000, "ri sk/a/a/1", "risk/é/a/1", "risk/a/a/1\n", "", "1",
)  # fmt: skip
ORIGINS = (
    "",
    " ",
    "x" * 500,
    "x" * 501,
    "a b",
    "é",
    "clock/X\n",
    "a\x00",
    "{}",
    "a|b",
    "clock/X/1",
)
NUMBERS = ("-{}", "{}0", "{}.0", "{}e0", "0{}", '"{}"', "{} ", "+{}", "[{}]", "{}" + "0" * 20)
FORMS = (
    "{}0", "{}.0", "{}.000", "-{}", "+{}", " {}", "{} ", "{}\n", "{}e0", "0{}", "{}/", "/{}",
    "{},{}", "{}" + "0" * 30, "{}.0000000000001", "{0}{0}", "{}\u0660", "{}\x00",
)  # fmt: skip
OTHERS = ("null", "true", "false", "[]", "{}", "[[]]", '{"a":[]}', "0", "1", '""', '"1"', "[null]")


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes to try on a topic, under a key."""

    topic: str
    key: bytes | None
    value: bytes


class Mutator:
    """Makes cases of one type of record from its samples, forever, from one seed."""

    def __init__(self, seed: int, samples: dict[str, list[Sample]], tag: str) -> None:
        self._chance = random.Random(f"{seed} {tag}")
        self._samples = samples[tag]
        self._others = [sample for found in samples.values() for sample in found]
        self._topics = sorted({sample.topic for sample in self._others})

    def case(self) -> Case:
        """Return the next case."""
        chance = self._chance
        sample = chance.choice(self._samples)
        topic, key, value = sample.topic, sample.key, sample.value
        fate = chance.random()
        if fate < 0.02:
            return Case(chance.choice(self._topics), key, value)
        if fate < 0.08:
            return Case(topic, self._key(key), value)
        if fate < 0.35:
            return Case(topic, key, self._bytes(value))
        tree = parse(value)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choice(TREES)(chance, tree)
        if fate > 0.97:
            self._borrow(tree)
        value = _written(chance, tree)
        return Case(topic, key, self._bytes(value) if fate > 0.95 else value)

    def _key(self, key: bytes) -> bytes | None:
        others: Sequence[bytes | None] = (
            None, b"", key + b" ", key[:-1], key.lower(), key.swapcase(), b"\xff" + key, key * 2,
            b"BINANCE:OTHER", b"other", b"!claim", b"\x00", key + b"\n",
        )  # fmt: skip
        return self._chance.choice(others)

    def _borrow(self, tree: Pairs) -> None:
        """Put the fields of another record under this type, or this one's under another type."""
        other = parse(self._chance.choice(self._others).value)
        if self._chance.random() < 0.5:
            tree[0] = other[0]
        else:
            tree[1:] = other[1:]

    def _bytes(self, value: bytes) -> bytes:
        if self._chance.random() < 0.0005:
            return self._chance.choice(
                (b" " * 2**21 + value, b"[" * 100_000, b'{"type":' * 100_000, b"x" * (2**21 + 1))
            )
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            value = self._chance.choice(BYTES)(self._chance, value)
        return value


# What happens to bytes.


def _truncate(chance: random.Random, value: bytes) -> bytes:
    return value[: chance.randrange(len(value) + 1)]


def _behead(chance: random.Random, value: bytes) -> bytes:
    return value[chance.randrange(len(value) + 1) :]


def _flip(chance: random.Random, value: bytes) -> bytes:
    if not value:
        return value
    place = chance.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << chance.randrange(8)]) + value[place + 1 :]


def _overwrite(chance: random.Random, value: bytes) -> bytes:
    place = chance.randrange(len(value) + 1)
    return value[:place] + bytes([chance.randrange(256)]) + value[place + 1 :]


def _insert(chance: random.Random, value: bytes) -> bytes:
    place = chance.randrange(len(value) + 1)
    pieces = (
        b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b",", b'"', b"{", b"}",
        b"[", b" ", b"\n", b"0", b"-", b".", b"e", b"\\", b"\\u0000", b"\\ud800", b"/", b"null",
        b"//x\n",
    )  # fmt: skip
    return value[:place] + chance.choice(pieces) + value[place:]


def _cut(chance: random.Random, value: bytes) -> bytes:
    place = chance.randrange(len(value) + 1)
    return value[:place] + value[place + chance.randrange(1, 6) :]


def _repeat(chance: random.Random, value: bytes) -> bytes:
    start = chance.randrange(len(value) + 1)
    end = start + chance.randrange(1, 30)
    return value[:end] + value[start:]


def _frame(chance: random.Random, value: bytes) -> bytes:
    frames = (
        b"\xef\xbb\xbf" + value, b"[" + value + b"]", value + value, value + b"\n", value + b",",
        value + b"\x00", b" " + value, value.decode(errors="replace").encode("utf-16"),
        json.dumps(value.decode(errors="replace")).encode(), value[::-1], b"", b"null", b"[]",
        b"{}", b"0", b'"' + value, b"Obj\x01" + value, b"\x00\x00\x00\x00\x01" + value,
        value + b"}",
    )  # fmt: skip
    return chance.choice(frames)


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _truncate, _behead, _flip, _flip, _overwrite, _insert, _insert, _cut, _repeat, _frame,
)  # fmt: skip


# What happens to a tree.


def _slot(chance: random.Random, tree: Pairs) -> Slot:
    return chance.choice(list(slots(tree)) or [(tree, 0)])


def _replace(chance: random.Random, tree: Pairs) -> None:
    slot = _slot(chance, tree)
    was = get(slot)
    if isinstance(was, Raw) and chance.random() < 0.7:
        put(slot, Raw(chance.choice(INTEGERS)))
    elif isinstance(was, str) and chance.random() < 0.7:
        put(slot, chance.choice(DECIMALS if was[:1].isdigit() or was[:1] == "-" else TEXTS))
    elif chance.random() < 0.6:
        put(slot, Raw(chance.choice(OTHERS)))
    else:
        put(slot, chance.choice(DECIMALS + TEXTS))


def _nudge(chance: random.Random, tree: Pairs) -> None:
    """Write a value in another way, or a little else."""
    slot = _slot(chance, tree)
    was = get(slot)
    if isinstance(was, Raw):
        put(slot, Raw(chance.choice(NUMBERS).format(was.text)))
    elif isinstance(was, str):
        put(slot, chance.choice(FORMS).format(was, was))
    else:
        put(slot, Raw(json.dumps(render(was))))


def _recase(chance: random.Random, tree: Pairs) -> None:
    slot = _slot(chance, tree)
    was = get(slot)
    if isinstance(was, str):
        put(slot, chance.choice((was.upper(), was.title(), was.swapcase(), was[:-1], was[::-1])))


def _remove(chance: random.Random, tree: Pairs) -> None:
    pairs = chance.choice(objects(tree))
    if pairs:
        pairs.pop(chance.randrange(len(pairs)))


def _add(chance: random.Random, tree: Pairs) -> None:
    names = ("surprise", "id", "origin", "type", "account", "instrument", "time", "", "__class__")
    values = (Raw("null"), Raw("1"), "x", "risk/a/a/1", "clock/X/1", Raw("[]"), Raw("{}"))
    pairs = chance.choice(objects(tree))
    pairs.insert(chance.randrange(len(pairs) + 1), (chance.choice(names), chance.choice(values)))


def _double(chance: random.Random, tree: Pairs) -> None:
    """Let a field stand there twice: with one value, or with two."""
    pairs = chance.choice(objects(tree))
    if pairs:
        name, value = chance.choice(pairs)
        other = chance.choice((value, value, Raw("null"), "1", chance.choice(pairs)[1]))
        pairs.insert(chance.randrange(len(pairs) + 1), (name, other))


def _rename(chance: random.Random, tree: Pairs) -> None:
    pairs = chance.choice(objects(tree))
    if pairs:
        place = chance.randrange(len(pairs))
        name, value = pairs[place]
        names = (name.upper(), name + " ", name[:-1], "_" + name, name + "\x00", name + "\u200b")
        pairs[place] = (chance.choice(names), value)


def _swap(chance: random.Random, tree: Pairs) -> None:
    """Exchange the values of two fields."""
    pairs = chance.choice(objects(tree))
    if len(pairs) > 1:
        one, two = chance.sample(range(len(pairs)), 2)
        (first, value), (second, other) = pairs[one], pairs[two]
        pairs[one], pairs[two] = (first, other), (second, value)


def _resize(chance: random.Random, tree: Pairs) -> None:
    """Change how many items an array has, or their order."""
    found = arrays(tree)
    if not found:
        return
    items = chance.choice(found)
    fate = chance.randrange(5)
    if fate == 0 and items:
        items.pop(chance.randrange(len(items)))
    elif fate == 1:
        items.append(chance.choice(items) if items else Raw("1"))
    elif fate == 2:
        items.reverse()
    elif fate == 3:
        items.clear()
    elif chance.random() < 0.002:
        items *= 10_001


def _nest(chance: random.Random, tree: Pairs) -> None:
    slot = _slot(chance, tree)
    depth = chance.choice((1, 1, 2, 20, 260, 1_100)) if chance.random() < 0.2 else 1
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
    put(slot, Raw(opening * depth + render(get(slot)) + closing * depth))


def _retype(chance: random.Random, tree: Pairs) -> None:
    tags: tuple[Any, ...] = (
        "trade", "Trades", "clock", "gap", "join", "leave", "epoch", "command", "signal", "fill",
        "claim", "state", "candle", "history", "", " ", Raw("null"), Raw("[]"), Raw("1"), Raw("{}"),
    )  # fmt: skip
    put((tree, 0), chance.choice(tags))


def _relate(chance: random.Random, tree: Pairs) -> None:
    """Damage identity or origin, or put one where none belongs."""
    names = [name for name, _ in tree]
    name = chance.choice(("id", "origin"))
    value = chance.choice(IDENTITIES if name == "id" else ORIGINS)
    if name in names and chance.random() < 0.8:
        put((tree, names.index(name)), value)
    else:
        tree.insert(1, (name, value))


TREES: tuple[Callable[[random.Random, Pairs], None], ...] = (
    _replace, _replace, _replace, _replace, _nudge, _nudge, _nudge, _recase, _remove, _add, _double,
    _rename, _swap, _resize, _resize, _nest, _retype, _relate,
)  # fmt: skip


def _written(chance: random.Random, tree: Pairs) -> bytes:
    """Return the tree as bytes, now and then as a foreign writer would write it."""
    fate = chance.random()
    if fate < 0.03:
        for pairs in objects(tree):
            chance.shuffle(pairs)
    text = render(tree)
    if fate > 0.97:
        text = text.replace(":", ": ").replace(",", ", ")
    elif fate > 0.95:
        text = text.replace("a", "\\u0061")
    return text.encode(errors="surrogatepass")
