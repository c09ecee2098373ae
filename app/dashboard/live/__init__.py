"""Records as they come enter; what each viewer sees of them, in order and without holes, leaves."""
