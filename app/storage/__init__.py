"""Records enter as batches, tables of TimescaleDB leave; the database is reached only from here."""
