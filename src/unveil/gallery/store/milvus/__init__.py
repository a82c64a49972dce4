"""Vectors of large galleries in Milvus; PostgreSQL keeps everything else."""
