"""Values and volatilities: kernels, Greeks, implied volatility, forwards and surfaces, as arrays over a chain."""
