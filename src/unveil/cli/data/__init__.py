"""Commands of datasets: check, list, occlude, parse."""
