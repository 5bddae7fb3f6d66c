"""Surveillance: what the deaths of the last days and weeks say that the years before do not."""
