"""The root: command line, settings and wiring; the only package that knows all others."""
