"""Segment-anything networks behind one protocol: transformers, Meta's checkpoints, ONNX."""
