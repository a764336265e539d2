"""Measuring a host: small networks of one kind of kernel, run through ONNX Runtime, become a device profile."""
