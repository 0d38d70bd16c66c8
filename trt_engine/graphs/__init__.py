"""The ONNX graphs of a model: made from torch, lowered in precision, with their weights beside them."""
