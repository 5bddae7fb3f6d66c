"""Tests of nomenclature."""
