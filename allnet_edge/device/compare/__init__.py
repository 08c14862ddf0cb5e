"""`compare`: two benchmarks, or two bundles; what changed, and what became worse."""
