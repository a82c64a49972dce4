"""What a person wears: the choices of an outfit, and the cloth that they become."""
