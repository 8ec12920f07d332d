"""Several processes and one file: real commands, started together."""
