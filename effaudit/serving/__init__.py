"""A language model served: which dims of the file are batch, new tokens and past, what a prompt and a token take.

`roles` reads the dims, `positions` the longest context that the graph states, `sized` has the graph at one batch and
length, `ceilings` says what the peaks of a device allow, `places` where weights, cache and activations lie; `serve`
puts them together.
"""
