"""Compositing: draws the output."""
