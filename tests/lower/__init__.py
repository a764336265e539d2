"""Lowering passes: small graphs worked out by hand, real ones against laws and against ONNX Runtime."""
