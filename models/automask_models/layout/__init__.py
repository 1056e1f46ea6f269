"""What in a picture is frame, page margin, ground or picture: a small network that sees the picture as a whole."""
