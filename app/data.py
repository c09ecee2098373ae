"""Where the files are that come with the project: those of a checkout, or of the package."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(place: str) -> Path:
    """Return the folder `place` of the checkout, or its copy inside the installed package."""
    checkout = PACKAGE.parent / place
    return checkout if checkout.is_dir() else PACKAGE / "_data" / Path(place).name
