"""Who may call: host names, web origins, API keys, sizes of bodies."""
