"""Label Studio asks this server for predictions: its labelling configurations, its addresses of images, its results."""
