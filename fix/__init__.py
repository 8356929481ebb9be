"""The order wire: our FIX dialect, sessions over it, and venues behind them."""
