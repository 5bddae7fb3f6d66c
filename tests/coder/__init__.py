"""Tests of the coder."""
