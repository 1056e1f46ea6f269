"""Masks over HTTP: the app (`automask_api.app.create_app`), its settings, and the command `automask serve`."""
