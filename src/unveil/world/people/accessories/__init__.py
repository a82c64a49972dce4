"""What is carried or put on: bags, hats, scarves and mobility aids, as simple rounded solids and shells."""
