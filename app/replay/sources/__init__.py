"""Where a replay's records come from: a run's topics, dump files, or the tables."""
