"""Many videos on their way to results, in one queue."""
