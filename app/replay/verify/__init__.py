"""A run's topics enter; proof that its derived records follow from its inputs, or what differs."""

from app.replay.verify.verdict import Difference, Verdict
from app.replay.verify.verifying import follow, verify, volume

__all__ = ["Difference", "Verdict", "follow", "verify", "volume"]
