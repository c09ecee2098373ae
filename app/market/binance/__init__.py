"""Binance spot: sockets and HTTP enter, typed market events leave."""
