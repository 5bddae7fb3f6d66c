"""The underlying cause learned: tables from ACME and from certificates, and the ranker that Triton serves.

``python -m training.underlying STEP DATA`` with the data folder; see `training.underlying.__main__` for the steps. A
story in five rooms: `certificates` (who is learned from and who is kept apart), `acme` (the causal table), `derive` (what
certificates prove against the rules), `ranker` (the network, its rows, its training and export), `scoring`.
"""
