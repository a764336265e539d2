"""Worked examples from the literature, each on a graph that spells it."""
