"""Published figures: how they are written, what in a model they may count, and those of well-known architectures."""
