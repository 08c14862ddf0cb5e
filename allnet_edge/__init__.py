"""allnet-edge: from a trained leukemia cell classifier to the device beside the microscope.

Research use only; nothing here makes a diagnosis.
"""

__version__ = "0.2.0"
