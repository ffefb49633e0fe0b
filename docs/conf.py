"""The documentation site: `make docs` builds it from these pages and the docstrings."""

from importlib.metadata import version as version_of

project = "Trivium"
release = version_of("trivium")
copyright = "the authors of Trivium"
extensions = ["myst_parser", "sphinx.ext.napoleon", "autoapi.extension"]
html_theme = "furo"
html_title = "Trivium"
exclude_patterns = ["results/**", "site/**"]
suppress_warnings = ["autoapi.python_import_resolution"]

# Anchors of headings, as pages that link to a section name them.
myst_heading_anchors = 3

# The sources are parsed, not imported: no torch is needed to build.
autoapi_dirs = ["../src/trivium"]
autoapi_root = "api"
autoapi_options = ["members", "show-inheritance", "show-module-summary"]
autoapi_add_toctree_entry = False
autoapi_keep_files = False
