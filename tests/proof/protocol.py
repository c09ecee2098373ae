"""What was seen enters line by line; a file that says it leaves, and whether anything was wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.proof.processes import Measured


class Protocol:
    """The lines of one proof, written down as they come.

    Attributes:
        wrong: What was not as it must be.
    """

    def __init__(self, file: Path) -> None:
        self.wrong: list[str] = []
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")

    def say(self, text: str) -> None:
        """Write a line, also to the terminal."""
        with self._file.open("a") as out:
            out.write(text + "\n")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def holds(self, what: str, *, holds: bool) -> None:
        """Write down whether something holds that must."""
        self.say(f"{'ok   ' if holds else 'WRONG'} {what}")
        if not holds:
            self.wrong.append(what)

    def said(self, done: Measured, code: int) -> None:
        """Write down a command with all it printed; it must have ended with this code."""
        self.holds(f"{done}", holds=done.code == code)
        for text in (done.out, done.error):
            for line in text.rstrip().splitlines():
                self.say(f"      {line}")
