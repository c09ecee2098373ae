"""Arrays enter; charts leave as SVG without scripts, the same bytes for the same arrays."""
