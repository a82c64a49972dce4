"""Commands of galleries: adding, listing, calibrating, serving, and the audit log."""
