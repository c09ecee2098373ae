"""Bytes that nobody wrote who may enter a topic; whether they became a dead letter leaves."""

from __future__ import annotations

from app.core.events import DeadLetter
from app.runtime.codec import decode
from tests.faults.site import SYMBOLS, Site

FOREIGN = (b"", b"not json", b"\xff\xfe", b"null", b"[]", b'{"type":"candle"}', b'{"type":"comm')
KEYS = {
    "trades": [f"BINANCE:{symbol}" for symbol in SYMBOLS],
    "signals": ["paper", "shadow"],
    "instruments": ["nobody"],  # compaction keeps the newest of a key: not a listing's own
}


async def foreign_bytes(site: Site, topic: str) -> bool:
    """Put foreign bytes where they may stand: they are reported, and work goes on."""
    place = await site.poison(topic, site.chance.choice(KEYS[topic]), site.chance.choice(FOREIGN))

    async def reported() -> bool:
        letters = [
            decode(each.value or b"").record
            for each in await site.installation.stored("dead-letters")
        ]
        return any(
            isinstance(letter, DeadLetter)
            and (letter.topic, letter.partition, letter.offset) == place
            for letter in letters
        )

    return await site.soon(reported)
