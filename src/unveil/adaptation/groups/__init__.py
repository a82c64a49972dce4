"""Who is one person among crops that nobody labelled: links that are known, and groups that are told."""
