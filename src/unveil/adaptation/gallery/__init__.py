"""Adapting to the crops of a gallery, as a job that resumes and can be undone."""
