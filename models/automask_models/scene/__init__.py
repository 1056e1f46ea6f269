"""What a whole picture shows, as a second opinion on what is lettering in it."""
