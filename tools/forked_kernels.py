"""Start each kernel as a copy of one process that has imported what every notebook imports.

To import torch, matplotlib and ipykernel costs 2.5 s of CPU. A process that has done so once is
forked for each notebook; its copy is an ordinary kernel from there on, in the environment and the
folder that jupyter_client gives it. Nothing is drawn and no thread runs before the fork.

Run as a script, this file is that process. It reads a line of JSON for each kernel that it is to
start, answers with its process id, and ends with its input.
"""

import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import EntryPoint
from threading import Lock

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

IMPORTED = ("ipykernel.kernelapp", "ipykernel.ipkernel", "torch", "layernorm_book.widgets")
IMPORTED += ("layernorm_book.parity", "layernorm_book.chapters.figures.style")
NAME = "forked"


class Kernel:
    """A forked kernel, with what jupyter_client asks of a subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        """Return None while it runs."""
        try:
            os.kill(self.pid, 0)  # who has ended is reaped at once
        except ProcessLookupError:
            return 0
        return None

    wait = poll  # it is asked when the process has ended

    def send_signal(self, signum):
        """Send a signal to it."""
        os.kill(self.pid, signum)

    def terminate(self):
        """End it, where it did not when it was asked: on a busy machine it takes its time."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Has the waiting process fork where others start a program."""

    nursery = None
    lock = Lock()  # an order and its answer belong together

    async def launch_kernel(self, cmd, **options):
        """Order a kernel, and return how it is spoken to."""
        order = {"arguments": cmd, "cwd": options["cwd"], "env": options["env"]}
        with self.lock:
            print(json.dumps(order), file=self.nursery.stdin, flush=True)
            self.process = Kernel(int(self.nursery.stdout.readline()))
        self.pid = self.pgid = self.process.pid
        self.cwd = options["cwd"]
        return self.connection_info


@contextmanager
def kernels_are_forked():
    """Within this block kernels are forked, where the system can fork safely."""
    if sys.platform != "linux":
        yield
        return
    factory = KernelProvisionerFactory.instance()
    where = f"{__name__}:{ForkedProvisioner.__name__}"
    factory.provisioners[NAME] = EntryPoint(NAME, where, factory.GROUP_NAME)
    before, factory.default_provisioner_name = factory.default_provisioner_name, NAME
    command = (sys.executable, __file__)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as ForkedProvisioner.nursery:
        yield
    factory.default_provisioner_name = before


def become_kernel(order):
    """Turn this copy into the kernel that was ordered, in a session and folder of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    arguments = order["arguments"][order["arguments"].index("-f") :]
    sys.argv = ["ipykernel_launcher", *arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]
    import_module("ipykernel.kernelapp").launch_new_instance()


def reap(*_):
    """Wait for the kernels that have ended; their time counts as this process's children's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main():
    """Import what every notebook imports, then fork a kernel for each line of input."""
    del sys.path[0]  # this file's folder: a kernel does without
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # read on import
    for name in IMPORTED:
        import_module(name)
    signal.signal(signal.SIGCHLD, reap)
    gc.freeze()  # a copy that collects garbage leaves these pages shared
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            become_kernel(json.loads(line))
            return
        print(pid, flush=True)


if __name__ == "__main__":
    main()
