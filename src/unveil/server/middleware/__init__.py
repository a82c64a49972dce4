"""What every request passes before a route answers it: limits, access, headers, logging."""
