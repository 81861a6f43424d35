"""The shipped weights and their manifest."""
