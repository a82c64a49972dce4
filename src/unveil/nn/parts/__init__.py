"""From a map to vectors of parts: stripes, part maps, screening, centre focus; one a file."""
