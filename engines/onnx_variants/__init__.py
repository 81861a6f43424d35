"""Variants of the shipped ONNX files, for runtimes that cannot run them as they are."""
