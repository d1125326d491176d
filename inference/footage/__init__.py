"""Video files and their names."""
