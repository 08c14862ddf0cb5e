"""How long a network would take on a GPU that is not here: a roofline of each kernel.

An estimate, never a measurement; every number that comes out carries the error that the same model
made on boards that it had not seen (docs/latency_model.md).
"""
