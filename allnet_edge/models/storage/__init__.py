"""How a float model lies on disk: safetensors for the weights, JSON for everything else."""
