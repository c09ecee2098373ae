"""Records enter; how many there were of each topic leaves, with a hash that tells sets apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from app.core.events import Output

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


@dataclass(slots=True)
class Tally:
    """Counts and hashes by topic.

    A topic's hash is the sum of its records' hashes (BLAKE2b, 128 bits), so the order in which
    they come makes no difference: two replays with equal hashes made the same records.

    Attributes:
        counts: Records by topic.
    """

    counts: dict[str, int] = field(default_factory=dict)
    _sums: dict[str, int] = field(default_factory=dict)

    def take(self, output: Output, raw: bytes) -> None:
        """Count a record, given its bytes on the wire."""
        topic = output.topic
        self.counts[topic] = self.counts.get(topic, 0) + 1
        digest = hashlib.blake2b(raw, digest_size=_SIZE).digest()
        value = self._sums.get(topic, 0) + int.from_bytes(digest, "big")
        self._sums[topic] = value % _MODULUS

    def digests(self) -> dict[str, str]:
        """Return each topic's hash."""
        return {topic: f"{value:032x}" for topic, value in self._sums.items()}
