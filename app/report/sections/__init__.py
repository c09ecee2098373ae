"""A measured run enters; the sections of its report leave, one module each."""
