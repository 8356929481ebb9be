"""Where orders go: venues, order states and the exchange as pure code."""
