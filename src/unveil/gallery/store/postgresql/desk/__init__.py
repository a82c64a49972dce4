"""Tables of the desk beside the rows of galleries: cases, probable people, floor plans, alerts."""
