"""What the entry points do: a module for each, with a `main` that takes a resolved config."""
