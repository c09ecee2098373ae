"""Topics, tables and people enter; pages, their data and commands leave, in a process apart."""
