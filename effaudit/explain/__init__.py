"""What a cost is made of, with its numbers put in."""
