"""Measures of what the viewer gets: the evaluator, image measures, likeness, tables and sheets."""
