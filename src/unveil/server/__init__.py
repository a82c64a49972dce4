"""HTTP API and web page over the galleries; the only room that knows HTTP."""
