"""Market data and an account enter; what the account would have done and earned leaves."""
