"""What do readers type into the search box, and which section tells it?

Search ranks a page by how often a word stands in it, and ε is everywhere. Each line below puts an
index entry on the section that tells the matter, which search lists before anything else.
"""

from docutils import nodes
from sphinx.addnodes import index
from sphinx.util import logging

# page: {section's heading: what it is searched by}
TERMS = {
    "01_mean_and_variance": {
        "n, or n − 1?": ["n - 1", "unbiased variance", "correction=0", "bessel"],
        "One pass or two?": ["one-pass variance", "catastrophic cancellation"],
        "Whose mean is it?": ["normalized_shape", "per token", "axis"],
    },
    "02_normalize": {
        "ε, for rows that hardly vary": ["eps", "epsilon", "ε", "constant row"],
        "Inside the root, or outside?": ["eps inside or outside", "eps outside sqrt"],
    },
    "03_gamma_and_beta": {
        "One for each feature, none for a row": ["gamma", "beta", "elementwise_affine", "weight"],
    },
    "04_parity": {
        "How often does a test miss?": ["tolerance", "assert_close", "allclose"],
        "Bring your own": ["check_parity", "check my layer"],
    },
    "12_census": {
        "A dot for each layer": ["census", "published layers", "is my layer right"],
        "Check your own in CI": ["parity_test", "continuous integration", "exit codes"],
    },
    "05_backward": {
        "Two means make a line": ["gradient", "grad_x", "backward pass"],
        "A learning rate that fades by itself": ["scale invariance", "effective learning rate"],
        "When ε comes after the root": ["nan", "nan gradient"],
    },
    "06_precision": {
        "Centre twice": ["two-pass variance", "center twice"],
        "Which step needs float32?": ["bfloat16", "float16", "half precision", "autocast"],
        "What is left of ε": ["eps in float16", "1e-12"],
    },
    "08_trained_gamma_beta": {
        "In every token alike?": ["massive activations", "attention sink", "outlier channel"],
        "Where γ folds away": [
            "fold gamma",
            "merge LayerNorm into linear",
            "quantization",
            "SmoothQuant",
            "gamma migration",
        ],
    },
    "10_relatives": {
        "By hand": ["RMSNorm", "BatchNorm", "InstanceNorm"],
        "Throw the mean away": ["why subtract mean", "pre-RMSNorm"],
        "Without any statistics": ["DyT", "dynamic tanh"],
        "Which one, when": ["GroupNorm", "QK-norm", "which normalization"],
    },
}


def put_entries(app, doctree):
    """Put a page's entries on its sections; complain of one whose heading is gone."""
    docname = app.env.docname
    wanted = dict(TERMS.get(docname.removeprefix("book/"), {}))
    for section in list(doctree.findall(nodes.section)):
        heading = section[0].astext() if isinstance(section[0], nodes.title) else ""
        entries = [
            ("single", term, section["ids"][0], "main", None) for term in wanted.pop(heading, ())
        ]
        if entries:
            section.insert(1, index(entries=entries))
    for heading in wanted:
        sentence = "search terms for a section %r that is not here"
        logging.getLogger(__name__).warning(sentence, heading, location=docname)


def setup(app):
    app.connect("doctree-read", put_entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
