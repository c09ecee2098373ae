"""A user's own strategy enters as a file or an entry point; it leaves as one of the pipeline's."""

from __future__ import annotations

from app.authoring.loading import load_file
from app.authoring.trying import advise, bars

__all__ = ["advise", "bars", "load_file"]
