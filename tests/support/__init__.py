"""Operator support of accelerators, and the partitions that follow."""
