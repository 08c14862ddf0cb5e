"""Images and who they show: importers, index, leakage, splits, and the only preprocessing."""
