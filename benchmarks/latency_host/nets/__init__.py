"""Networks that `benchmarks.zoo` does not have, of float32 and with one size each."""
