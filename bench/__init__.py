"""Measures the live path: a real broker and database enter, numbers with their spread leave."""
