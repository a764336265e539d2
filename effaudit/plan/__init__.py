"""Graph -> memory: liveness, and (with it) what each figure of peak memory means."""
