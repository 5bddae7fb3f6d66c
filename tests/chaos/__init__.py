"""Faults put on real servers and real workers, and the check that every certificate was answered once all the same."""
