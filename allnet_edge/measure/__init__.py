"""Is it right, and how fast: metrics, intervals, thresholds, the gate, latency, the machine."""
