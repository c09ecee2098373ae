"""Other people's software on our input: what each makes of the same trades a second leaves."""
