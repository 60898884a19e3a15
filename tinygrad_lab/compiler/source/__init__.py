"""The source of a recording, as a person would have written it."""
