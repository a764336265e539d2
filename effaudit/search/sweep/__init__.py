"""A grid of models, sizes, what-ifs and devices, each point really made.

`axes` reads what is varied, `points` makes the grid, `run` makes its points, in several processes.
"""
