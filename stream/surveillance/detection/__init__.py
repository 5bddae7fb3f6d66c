"""Detection: is this count larger than the past lets expect? Pure functions from a series to verdicts.

No module here reads a topic, a database or a clock. Methods follow their papers; option names are those of R's package
`surveillance` (docs/detection.md tells where figures differ from R's, and why).
"""
