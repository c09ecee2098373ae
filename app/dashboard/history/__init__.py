"""A question about the past enters; rows of the tables, in the API's form, leave."""
