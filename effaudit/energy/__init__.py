"""Energy of one inference, always with its basis: measured at a board's rail, power times time, or a table of
operations (relative what-ifs only); and what follows from it: carbon, cost, battery life, work per joule."""
