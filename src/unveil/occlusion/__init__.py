"""Occluding people on purpose: the recipe of Occ-PRCC and Occ-LTCC, and other styles, from dataset to dataset."""
