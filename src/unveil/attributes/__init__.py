"""What people wear and carry, read from a crop and its parsing maps: no model of its own."""
