"""TensorFlow Lite Micro as an oracle: the same network as a .tflite file, and what its interpreter takes in memory."""
