"""From a folder or a list of files to pixels: walking, naming, decoding."""
