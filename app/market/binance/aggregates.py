"""The members of one aggregate trade, of a stream or of REST, enter; the trade leaves."""

from __future__ import annotations

from decimal import Decimal

from app.market.binance import fields
from app.market.dumps import Aggregate


def read_aggregate(members: fields.Fields) -> Aggregate:
    """Return the trade; a void one has -1 for its bounds. Raises fields.MalformedError."""
    last = fields.integer(members, "l", low=-1)
    aggregate = Aggregate(
        id=fields.integer(members, "a"),
        first_id=fields.integer(members, "f", low=-1),
        last_id=last,
        time=fields.time(members, "T"),
        price=fields.decimal(members, "p"),
        quantity=fields.decimal(members, "q"),
        buyer_maker=fields.boolean(members, "m"),
    )
    if last < 0:
        return _void(aggregate)
    if not 0 <= aggregate.first_id <= last:
        raise fields.MalformedError(f"f was {aggregate.first_id}, must be from 0 to l")
    if not (aggregate.price and aggregate.quantity):
        raise fields.MalformedError("p or q was 0 in a trade that is not void")
    return aggregate


def _void(aggregate: Aggregate) -> Aggregate:
    # One negative bound makes it void, so that `Aggregate.void` and this module agree.
    return Aggregate(
        aggregate.id, -1, -1, aggregate.time, Decimal(0), Decimal(0), aggregate.buyer_maker
    )
