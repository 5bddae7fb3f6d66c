"""Other frameworks that do the worker's job: the same topics, records, core and models; only the streaming differs.

Each program is what its framework's own documentation would have one write, and runs in an environment of its own.
"""
