"""The report of a store: every image with its mask, most doubtful first, as plain files."""
