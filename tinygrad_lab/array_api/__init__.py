"""The parts of the Array API standard that are not ops: creation, dtypes, interchange."""
