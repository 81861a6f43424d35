"""Enhancement: aligns exemplars, runs the network, checks and filters its patches."""
