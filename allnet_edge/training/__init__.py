"""Training with Keras 3 on the user's backend (``KERAS_BACKEND``); needs no TensorFlow."""
