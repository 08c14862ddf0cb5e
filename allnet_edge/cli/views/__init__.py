"""How verbs show their results, where that is more than a line."""
