"""What can go wrong for a user: a sentence that says what to do enters, an exit code leaves."""

from __future__ import annotations

FAILED = 1
USAGE = 2
DIFFERENCE = 1  # as of diff and cmp
UNPROVEN = 3
UNREACHABLE = 4
BUG = 70
INTERRUPTED = 130
TERMINATED = 143


class LockstepError(Exception):
    """One sentence for a user: what was wrong, why, and what to do next.

    Attributes:
        exit_code: What the command that meets it exits with.
    """

    exit_code = FAILED


class ConfigurationError(LockstepError):
    """A setting, or the use of a command, was wrong."""

    exit_code = USAGE


class DifferenceError(LockstepError):
    """A proof found a difference."""

    exit_code = DIFFERENCE


class UnprovenError(LockstepError):
    """A proof found no difference, and could not look at everything."""

    exit_code = UNPROVEN


class UnreachableError(LockstepError):
    """The broker, the database or the exchange could not be reached, or refused us."""

    exit_code = UNREACHABLE


class BugError(LockstepError):
    """Something that can't happen did: the worker must not go on."""

    exit_code = BUG
