"""The person-search product: ingest crops and video, find someone again with reasons, keep account of it."""
