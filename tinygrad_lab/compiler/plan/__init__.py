"""Planning a replay: fewer events, their order, and where arrays live."""
