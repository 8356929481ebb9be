"""What is remembered for people: tables, statistics and the report of a run."""
