"""Times of this machine: whole networks run, and what the program says of them held against the clock."""
