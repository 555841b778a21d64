"""The GitHub workflows fit the schema, ask for little, and run what they pin and nothing else."""

import re
import subprocess

import pytest
import yaml
from conftest import BIN, ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
ZIZMOR = (BIN / "zizmor", "--offline", "--persona=pedantic", "--strict-collection", "--quiet")
PINNED = r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
RUNS_NPM, PUBLISHES = re.compile("npm|audit"), re.compile("upload-|deploy-")
REFUSES = "      - if: github.event_name != 'pull_request'\n        run: python tools/repository.py"


def problems(path):
    """Return what is wrong with a workflow: zizmor's words, and rules of our own."""
    done = subprocess.run((*ZIZMOR, path), capture_output=True, encoding="utf-8")
    found = [done.stdout + done.stderr] if done.returncode else []
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    found += [use for use in re.findall(r"uses: (.+)", text) if not re.fullmatch(PINNED, use)]
    found += [] if workflow["permissions"] == {"contents": "read"} else ["permissions"]
    found += [] if "concurrency" in workflow else ["concurrency"]
    for name, job in jobs.items():
        steps = [f"{step.get('run')} {step.get('uses')}" for step in job["steps"]]
        found += [] if "timeout-minutes" in job else [f"{name} may run for hours"]
        npm, publishes = (any(map(p.search, steps)) for p in (RUNS_NPM, PUBLISHES))
        found += [f"{name} runs npm and publishes"] if npm and publishes else []
        if any("deploy-pages" in step for step in steps):
            found += [] if {"build", "audit"} <= set(job["needs"]) else [f"{name} without audit"]
            found += [] if REFUSES in text else [f"{name} whatever the address"]
    return found


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_is_sound(path):
    assert problems(path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("runs-on:", "run-on:"),
        (r"deploy-pages@\w{40} # v4.0.5", "deploy-pages@v4"),
        (r" # v4\.0\.5", ""),
        (r" +with:\n +persist-credentials: false\n", ""),
        ("contents: read", "contents: write"),
        ("    timeout-minutes: 10\n", ""),
        (r"concurrency:\n.*\n.*\n", ""),
        (r"(      - run: make )book\n", r"\1book\n\1audit\n"),
        (r"\[build, audit\]", "[build]"),
        (r"run: python tools/repository\.py --check", "run: echo"),
    ],
)
def test_a_fault_in_a_workflow_is_found(tmp_path, right, wrong):
    text = (WORKFLOWS / "pages.yml").read_text(encoding="utf-8")
    broken = tmp_path / ".github" / "workflows" / "broken.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(re.sub(right, wrong, text), encoding="utf-8")
    assert broken.read_text(encoding="utf-8") != text
    assert problems(broken)
