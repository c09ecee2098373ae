"""The exchange's edge: prints and symbol rules come in by socket or file, records go out."""
