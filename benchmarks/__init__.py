"""Benchmarks of the command line: `python -m benchmarks.run all` from the repository's root."""
