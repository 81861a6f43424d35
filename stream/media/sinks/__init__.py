"""Sinks: files, the preview window, the virtual camera."""
