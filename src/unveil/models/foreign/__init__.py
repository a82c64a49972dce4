"""Models of other projects: how they are fed, and the mean vectors of their cameras."""
