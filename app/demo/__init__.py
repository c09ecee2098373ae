"""The demo: a recorded day and a synthetic market on one clock, through the real pipeline."""
