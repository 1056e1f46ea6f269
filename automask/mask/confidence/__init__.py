"""How likely a mask is fine: measures of each region, features of an image, and the fitted model over them."""
