"""Jobs: masks for folders that the server can see."""
