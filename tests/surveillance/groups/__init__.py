"""Tests of the syndromic groups."""
