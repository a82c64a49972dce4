"""Adding to galleries from the page: uploads, and jobs that add what was uploaded or lies in a folder."""
