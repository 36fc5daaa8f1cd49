"""The command line, one command a file: a thin shell on the rest of the package."""
