"""One module per format, found by name through the entry points `automask.exporters`."""
