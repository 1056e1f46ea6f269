"""Many images in one request."""
