"""What distances mean: ranking, parts, reasons and calibrated probabilities."""
