"""How events move: decoders, shards, the journal and the runtimes."""
