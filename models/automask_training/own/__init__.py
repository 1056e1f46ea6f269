"""A user's own images as training data: corrected stores, YOLO data sets and COCO files."""
