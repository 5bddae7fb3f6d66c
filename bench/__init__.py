"""Benchmarks: `make bench`. One run on one machine; every figure stands beside a baseline of the same run."""
