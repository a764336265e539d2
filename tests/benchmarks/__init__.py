"""What the benchmarks measured, kept where every run of the tests can hold the program to it."""
