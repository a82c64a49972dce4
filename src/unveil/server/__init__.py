"""HTTP API and web page over the galleries; the only package that knows HTTP."""
