"""Planners of offsets, one file each."""
