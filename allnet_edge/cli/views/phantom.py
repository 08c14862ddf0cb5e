"""What is said wherever a figure or a decision comes from phantom cells."""

PHANTOM = "made from phantom (synthetic) cells: it knows nothing about real ones"
