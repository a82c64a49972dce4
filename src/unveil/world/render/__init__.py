"""The inner loops of rendering: triangles, light on surfaces, and the textures of cloth."""
