"""What adapting does, one stage a file: each can be run alone."""
