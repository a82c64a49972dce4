"""Images and pages: ranked sheets, a self-contained HTML page, CMC and training curves."""
