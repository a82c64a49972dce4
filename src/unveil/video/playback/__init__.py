"""Single frames and short clips of films, by where they are in the film."""
