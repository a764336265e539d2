"""Operator rules, judged by what ONNX Runtime (or the onnx reference) really makes of one-node models."""
