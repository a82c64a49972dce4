"""Cases: what people keep of an inquiry, its searches and sightings, and the archive that hands it on."""
