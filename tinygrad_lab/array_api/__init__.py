"""What the Array API standard names: creation, dtypes, and how arrays are exchanged."""
