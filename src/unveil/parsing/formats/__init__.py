"""Files in which other tools store label maps and part confidences."""
