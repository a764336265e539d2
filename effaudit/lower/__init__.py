"""Graph -> the graph as a runtime executes it: one pass per file, each a pure rewrite. A runtime is a list of them.

Passes work on graphs with inferred shapes. Tensors keep their names; a node that also does the work of others keeps its
own name and operator, writes the last one's output, and has them in its attribute `fused`. Bodies of If, Loop, Scan and
functions are left as they are, and what they capture survives as it was.
"""
