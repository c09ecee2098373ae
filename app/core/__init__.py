"""The pure core: records enter, records leave; no clock, no network, no randomness."""
