"""What we hold and what we may do: positions, limits, the gate, P&L."""
