"""What a take consists of."""
