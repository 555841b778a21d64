"""Take the notebooks' outputs from the cache that tools/build_book.py has just filled.

Without it, as under a bare `jupyter-book build .`, every notebook runs, as _config.yml says.
"""

import os


def use_cache(app, config):
    if folder := os.environ.get("BOOK_CACHE"):
        config.nb_execution_mode = "cache"
        config.nb_execution_cache_path = folder


def setup(app):
    app.connect("config-inited", use_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
