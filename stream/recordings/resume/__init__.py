"""Resuming: what makes an interrupted recording end like one that was not."""
