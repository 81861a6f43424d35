"""The demo: a call that knows its own truth."""
