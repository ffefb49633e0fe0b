"""Readers of file formats: pictures, sounds, drawings, tables, shards, icon sets, SoundFonts."""
