"""The person-search product: index crops and video, find someone again with reasons, keep account of it."""
