"""The database of galleries: one interface, PostgreSQL behind it, Milvus for the vectors of large galleries."""
