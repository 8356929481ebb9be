"""What we trade to stay flat."""
