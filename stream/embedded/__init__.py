"""Real Kafka and Triton servers on one machine, installed from packages: no Docker, no Maven, no system Java.

`servers.Embedded` owns both. Each server lives in its own folder under ``<root>/<server>/``: data, log, ports and
the record of its process, so that any later command finds it.
"""
