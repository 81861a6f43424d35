"""Engines: what runs the network. `engines.runtime` is all that other packages need."""
