"""Import and export of motions and characters."""
