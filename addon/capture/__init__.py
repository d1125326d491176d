"""From a video to a take: panel, settings, operators, jobs."""
