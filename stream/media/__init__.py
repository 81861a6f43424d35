"""Sources, sinks and what they know of video, sound and files."""
