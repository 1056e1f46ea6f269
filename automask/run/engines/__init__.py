"""What works on shards: here in this process; others are entry points of `automask.engines`."""
