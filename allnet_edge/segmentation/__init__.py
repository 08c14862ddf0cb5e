"""Finding white cells in a field of view: nucleus map, splitting, whole-cell masks (OpenCV)."""
