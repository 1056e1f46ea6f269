"""What a person put right on one image, on all images that show the same mark."""
