"""Alerts: detection over the counts, single deaths that matter, and who is told of them (docs/alerting.md)."""
