"""What tests of backtests share with those of whole workers."""

from __future__ import annotations

from tests.integration.conftest import servers

__all__ = ["servers"]
