"""Pictures of graphs, and the parser of formulas to draw."""
