"""The report on a recording, as a page to look at."""
