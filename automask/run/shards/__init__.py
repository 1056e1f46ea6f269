"""Runs over shards: each gives a tar of masks, a Parquet of what was found, and a record that is written last."""
