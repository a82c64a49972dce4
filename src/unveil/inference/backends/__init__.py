"""What runs a model, one a file; each returns an `unveil.inference.engine.Engine`."""
