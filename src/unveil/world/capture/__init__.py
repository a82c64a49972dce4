"""What the cameras record: people placed in a scene, detected, cropped, and passed through the sensor."""
