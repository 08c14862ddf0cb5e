"""`bench`: every candidate of a bundle, each in fresh processes, on the device itself."""
