"""Time the labs: from an input event to the painted frame, in a real browser.

    python tools/bench_lab.py [PART OF A LAB'S NAME]

Each control is timed twice: as the machine is, and with the processor throttled four times, which
is a phone of some years ago. The goals are 4 and 16 ms at n = 8. A slider goes through its range,
a checkbox on and off, and radio buttons of one name are chosen in turn, so that each event changes
something.

Beside the lab, the same update through a live kernel: a plain ipywidgets slider and a matplotlib
figure, from the slider's message to the new picture's arrival. That leaves out the browser's own
part, so the ratio flatters the kernel.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")

from jupyter_client.manager import start_new_kernel
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import FLAGS, find_browser, write_page  # noqa: E402

from layernorm_book import widgets  # noqa: E402
from layernorm_book.widgets import LayerNormLab  # noqa: E402

THROTTLED = 4  # times slower


def row(n):
    """Return n numbers that look like any."""
    return [((7 * i) % 13) / 4 for i in range(n)]


# What is timed: a lab, and the goals for the median in milliseconds, plain and throttled.
LABS = {
    **{name: (getattr(widgets, name), (4.0, 16.0)) for name in widgets.__all__},
    "LayerNormLab, two rows": (lambda: LayerNormLab(rows=2), (4.0, 16.0)),
    "LayerNormLab, n = 768": (lambda: LayerNormLab(x=row(768)), (16.0, 64.0)),
}
KERNEL_SIZES = (8, 768)

# A browser hands an input event over right before it draws a frame; a message posted then is
# delivered when that frame has been painted.
TO_FRAME = """async ({ selector, rounds }) => {
    const inputs = document.querySelectorAll(selector);
    const [type, min, max] = [inputs[0].type, Number(inputs[0].min), Number(inputs[0].max)];
    const { port1, port2 } = new MessageChannel();
    const times = [];
    for (let k = 0; k < rounds; k++) {
        times.push(await new Promise((done) => requestAnimationFrame(() => {
            const input = inputs[type === "radio" ? k % inputs.length : 0];
            const start = performance.now();
            if (type === "checkbox") input.checked = k % 2;
            else if (type === "radio") input.checked = true;
            else input.value = min + ((k % 13) / 13) * (max - min);
            input.dispatchEvent(new Event("input", { bubbles: true }));
            port1.onmessage = () => done(performance.now() - start);
            port2.postMessage(null);
        })));
    }
    return times;
}"""

KERNEL = """
import matplotlib
matplotlib.use("module://matplotlib_inline.backend_inline")
import matplotlib.pyplot as plt
import ipywidgets
import torch
x = torch.linspace(-1, 1, {n})
def show(log_eps):
    y = torch.nn.functional.layer_norm(x, x.shape, eps=10**log_eps)
    figure, axes = plt.subplots(2, 1)
    axes[0].bar(range({n}), x)
    axes[1].bar(range({n}), y)
    plt.show()
slider = ipywidgets.FloatSlider(value=-5, min=-12, max=1, step=0.25)
panel = ipywidgets.interactive(show, log_eps=slider)
print(slider.comm.comm_id)
"""


# A selector for each kind of control that a lab has: one of each name, and of radios the last.
CONTROLS = """() => Object.values(Object.fromEntries([...document.querySelectorAll(
    ".ln-lab :is([type=range], [type=radio], [type=checkbox]):not(:disabled, [hidden] *)")].map(
        input => [input.name, `[name=${input.name}][${
            input.type === "range" ? `min="${input.min}"` : `value="${input.value}"`}]`])))"""


def in_browser(browser_path, make, rounds=200):
    """Return {control: (sorted times in milliseconds, the same with the processor throttled)}."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page(Path(folder), "lab", make())
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 900, "height": 900})
        devtools = page.context.new_cdp_session(page)

        def begin():
            page.goto(Path(folder, "lab.html").as_uri())
            page.wait_for_selector(".ln-lab [data-value]", state="attached")

        begin()
        times = {}
        for selector in page.evaluate(CONTROLS):
            begin()  # anew for each control: the one before has left another state, as n = 64
            name = selector.split("]")[0] + "]"
            page.evaluate(TO_FRAME, {"selector": name, "rounds": 50})  # to warm up
            both = []
            for rate in (1, THROTTLED):
                devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})
                measured = page.evaluate(TO_FRAME, {"selector": name, "rounds": rounds // rate})
                both.append(sorted(measured))
            devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
            times[name] = tuple(both)
        browser.close()
    return times


def through_kernel(n, rounds=20):
    """Return the sorted times in milliseconds from a slider's message to the new picture."""
    manager, client = start_new_kernel()
    try:
        comm = _run(client, KERNEL.format(n=n)).strip().splitlines()[-1]
        return sorted(_update(client, comm, -4.75 + k / 4) for k in range(rounds))[1:]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client, code):
    printed = []
    client.execute_interactive(
        code,
        timeout=120,
        output_hook=lambda m: printed.append(m["content"].get("text", "")),
    )
    return "".join(printed)


def _update(client, comm, value):
    content = {"comm_id": comm, "data": {"method": "update", "state": {"value": value}}}
    message = client.session.msg("comm_msg", content)
    start = time.perf_counter()
    client.shell_channel.send(message)
    while True:
        answer = client.get_iopub_msg(timeout=60)
        data = answer["content"].get("data", {})
        if answer["msg_type"] == "display_data" and "image/png" in data:
            return 1000 * (time.perf_counter() - start)


def main():
    """Print a table. It says where a goal is missed, and ends well: a slow machine is no error."""
    print("From event to painted frame, milliseconds: median (95th percentile), and throttled")
    browser_path = find_browser()
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, (make, goals) in LABS.items():
        if wanted not in name:
            continue
        for control, both in in_browser(browser_path, make).items():
            cells = ""
            for times, goal in zip(both, goals, strict=True):
                median, late = statistics.median(times), times[int(0.95 * len(times))]
                met = "met" if median < goal else "missed"
                cells += f"  {median:5.1f} ({late:5.1f})  goal {goal:4.1f}, {met:6}"
            print(f"{name:22} {control:18}{cells}")
    if wanted:
        return
    for n in KERNEL_SIZES:
        median = statistics.median(through_kernel(n))
        print(f"{f'live kernel and matplotlib, n = {n}':41} {median:5.1f}")


if __name__ == "__main__":
    main()
