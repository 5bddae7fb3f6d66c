"""Tests of stream.text."""
