"""One module a command: words of the command line in, its effect and exit code out."""
