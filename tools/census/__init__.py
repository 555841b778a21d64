"""The census: which published normalization layers agree with PyTorch, and which do not?

`python -m census` (with tools/ on the path; `make census` does it) fetches the wheels of
`packages.json`, finds their normalization layers (`find`), cuts each out of its package (`cut`),
builds it in a process of its own (`build`, `ask`) and asks the judge. The frameworks' own layers
are asked through the adapters of `frameworks`. `reviewed.json` holds what a person read in the
source: how to build a layer that asks for more than a size and eps, and why a wrong one is wrong.
`table` joins all of it into the census.json that the book reads.
"""
