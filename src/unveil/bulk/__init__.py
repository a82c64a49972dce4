"""Embedding in bulk: shards in Parquet, written by one process or by actors on many machines."""
