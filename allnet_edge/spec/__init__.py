"""What is asked for: frozen, typed, unknown keys refused."""
