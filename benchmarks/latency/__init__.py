"""Published latencies against the estimates of the device profiles, and the fits their numbers come from."""
