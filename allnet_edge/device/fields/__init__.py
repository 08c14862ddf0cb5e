"""From one field of view to its cells, each decided on or not assessed for a stated reason."""
