"""How does each chapter's subject look: one module of pictures for each?

They are kept out of the notebooks: each function takes the numbers that its chapter has just
computed and returns a `Picture`, which a notebook shows as SVG.
"""

from layernorm_book.extra import need

need("The figures", "matplotlib", "IPython")
