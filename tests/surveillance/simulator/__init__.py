"""The epidemic simulator: its country, its delays, and its figures against the product's own functions."""
