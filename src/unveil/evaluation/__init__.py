"""Evaluation under named protocols: distances, ranks of the positives, CMC, mAP, mINP, re-ranking, search."""
