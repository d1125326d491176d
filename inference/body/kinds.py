"""The names of the figures that a user can choose. Standard library only, so that `--help` needs no setup."""

GENDERS = ("neutral", "woman", "man")
BUILDS = ("average", "slim", "heavy", "muscular")
"""The first gender and the first build together leave a shape as it was seen."""
