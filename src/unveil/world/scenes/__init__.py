"""Places: ground, walls, objects, light, and the fixed camera in each."""
