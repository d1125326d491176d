"""The command line: argument parsing, environments, packaging. Not part of the extension."""
