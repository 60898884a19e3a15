"""The engine: values, ops, nodes and the reverse sweep."""
