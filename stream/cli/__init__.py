"""The command line: arguments, files of options, and the doctor."""
