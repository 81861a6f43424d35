"""Batches: many recordings into a folder, in several processes or on several machines."""
