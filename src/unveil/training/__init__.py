"""Training: the loop, its schedules, optimisers, state to resume from, and metrics."""
