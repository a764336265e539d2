"""A graph as a runtime executes it, on a device: roofline and latency, kernel by kernel.

`work` says what each kernel computes and moves, `rates` how fast the profile says that goes, `latency` puts them
together, `roofline` names what bounds each kernel.
"""
