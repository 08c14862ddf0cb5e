"""Feature extractors that networks are built from; not networks by themselves."""
