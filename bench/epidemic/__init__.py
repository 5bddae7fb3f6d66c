"""Epidemic simulator: eight years of deaths, outbreaks put among them, and how soon each method tells of them."""
