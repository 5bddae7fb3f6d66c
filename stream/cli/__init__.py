"""The command `causa`, one command a module."""
