"""Speed as an add-on: writes entry points and node classes. Skip it on a first reading."""
