"""Continuous evaluation: what the coded certificates and the decisions of people say of each other."""
