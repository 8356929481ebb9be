"""The order wire: FIX 4.4 in a dialect of our own, between the gateway and its venues."""
