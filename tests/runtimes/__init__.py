"""Runtimes, judged by what they measured and by figures published of them."""
