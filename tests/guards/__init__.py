"""The guards of SECURITY.md, taken away one at a time."""
