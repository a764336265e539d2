"""Graph -> the graph as a runtime executes it: one pass per file, each a pure rewrite. A runtime is a list of them."""
