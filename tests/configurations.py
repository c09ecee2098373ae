"""Nothing enters; the configuration of an account that trades the recorded day leaves, as YAML."""

from __future__ import annotations

REAL = """
accounts:
  real:
    quote: ETH
    capital: 1000
    instruments: [BINANCE:XRPETH]
    strategies:
      momentum: {lookback: 3, entry: 0.0001}
      macd: {fast: 2, slow: 4, signal: 2}
    risk: {order_notional: 300, position_notional: 500, gross_notional: 1000,
           daily_loss: 500, drawdown: 0.9, stale_after: 1h}
"""
"""More of the account, or other accounts, may be written behind it."""
