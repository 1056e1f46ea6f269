"""What each trainer does with a mask: names, sizes, buckets, reduction."""
