"""The vocabulary: instruments, prices, sessions, events, commands, frames, codec and topics."""
