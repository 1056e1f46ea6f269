"""What a person clicks on: by a segment-anything network, or by colour where there is none."""
