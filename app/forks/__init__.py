"""Forks: the moment a database is to be copied at enters; a copy to try things on leaves."""
