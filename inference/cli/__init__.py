"""The command line: argument parsing, environments, packaging. Nothing here ships."""
