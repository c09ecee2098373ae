"""Records that one stage appended enter; the stages beside it that read them get them at once."""

from __future__ import annotations

from collections.abc import Sequence

from app.runtime.ports import Stored
from app.runtime.shell import Shell


class Handing:
    """Gives stages of a process what one of them appended, without the way through a fetch.

    What is acknowledged is what they would read next. They read it all the same, a moment later,
    and what was appended elsewhere comes to them in that way alone.
    """

    def __init__(self) -> None:
        self._shells: list[Shell] = []

    def add(self, shell: Shell) -> None:
        """Let a stage be given what it reads."""
        self._shells.append(shell)

    def give(self, appended: Sequence[Stored]) -> None:
        """Give each stage what it reads of some records, in their order."""
        topics: dict[str, list[Stored]] = {}
        for stored in appended:
            topics.setdefault(stored.topic, []).append(stored)
        for shell in self._shells:
            for topic in shell.topics:
                if topic in topics:
                    shell.hand(topics[topic])
