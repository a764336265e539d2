"""Searches over what-ifs: the smallest change after which a model fits a device; sweeps of any what-if or dim."""
