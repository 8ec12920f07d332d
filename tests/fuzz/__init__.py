"""Hostile input for whatever reads text of others; ``__main__`` has the command."""
