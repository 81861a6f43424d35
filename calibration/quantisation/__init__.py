"""Quantisation of the network to INT8, with real material."""
