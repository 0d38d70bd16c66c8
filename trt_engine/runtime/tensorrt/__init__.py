"""TensorRT and TensorRT-RTX: sessions, memory of the device, and a pipeline that stays there."""
