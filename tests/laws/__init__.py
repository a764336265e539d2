"""Laws that hold for every model: sums, liveness, control flow, spellings of the same thing, symbolic sizes."""
