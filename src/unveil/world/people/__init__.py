"""People: body, pose, clothes and hair, joined into one mesh."""
