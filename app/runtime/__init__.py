"""A pure step made safe: records enter from the log, and leave for it exactly once."""
