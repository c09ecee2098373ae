"""Where a replay's records go: counts and hashes, files, or topics."""
