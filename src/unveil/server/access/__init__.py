"""Who may do what, and the audit entries for it."""
