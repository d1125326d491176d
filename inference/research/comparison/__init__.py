"""MediaPipe itself, to compare with."""
