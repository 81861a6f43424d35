"""The streaming graph: sources, stages, sinks and the links between them."""
