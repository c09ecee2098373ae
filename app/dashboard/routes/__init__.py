"""A request enters; what the API has for it leaves."""
