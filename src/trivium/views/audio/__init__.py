"""Views of audio."""
