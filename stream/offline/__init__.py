"""Files in, files out: the core without Kafka."""
