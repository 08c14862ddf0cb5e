"""Beside the microscope: a bundle at work, without TensorFlow or Keras."""
