"""The engines that bench/compare knows: how each is found, asked for its version, and made to run an image."""
import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WASI_SCRIPT = os.path.join(HERE, "wasi.mjs")
WASMTIME_RUNNER = os.path.join(HERE, "wasmtime_runner.py")


@dataclasses.dataclass
class Job:
    """One program to run: `image` is None for native; `dirs` are (host, guest) pairs, `preloads` (name, image) pairs."""
    image: str
    args: list = dataclasses.field(default_factory=list)
    dirs: list = dataclasses.field(default_factory=list)
    preloads: list = dataclasses.field(default_factory=list)
    native: str = None


class Engine:
    """A way to run a program. `name` is its column; `family` the program that must be found for it."""
    kind = "wasm"
    runs = 1  # of the program in one process

    def __init__(self, name, family, says, flags=(), cache="none", default=True):
        self.name, self.family, self.says = name, family, says
        self.flags, self.cache, self.default = list(flags), cache, default
        self.program = None  # list: the command so far, once found
        self.why_missing = None

    def version(self):
        return first_line(self.program + ["--version"])

    def command(self, job):
        """The argument vector that runs `job`, or None when this engine cannot run that kind of job."""
        raise NotImplementedError


def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    text = (out.stdout or out.stderr).strip()
    return text.splitlines()[0] if text and out.returncode == 0 and "sage" not in text[:8] else "unknown"


def mapped(job):
    return [word for host, guest in job.dirs for word in ("--dir", f"{host}::{guest}")]


def preloaded(job):
    return [word for name, image in job.preloads for word in ("--preload", f"{name}={image}")]


class Native(Engine):
    kind = "native"

    def command(self, job):
        if not job.native:
            return None
        folder, name = os.path.split(job.native)
        return [os.path.join(os.path.dirname(folder), self.family, name)] + job.args

    def version(self):
        return None  # the manifest has the compiler's


class Vmrun(Engine):
    def command(self, job):
        # Each run is a first one, unless the column says otherwise.
        cold = ["-O", "cache=off"] if self.cache == "none" else []
        return self.program + ["run"] + cold + self.flags + mapped(job) + preloaded(job) + [job.image] + job.args


class Steady(Vmrun):
    """The last of some runs in one process: the start and what compiling takes are over by then."""
    runs = 10

    def __init__(self, name, family, says, **more):
        super().__init__(name, family, says, ["--repeat", str(self.runs)], **more)

    def command(self, job):
        return None if job.preloads else super().command(job)

    def last_run(self, said):
        """Seconds of the last run, from what the program said on standard error; None where it does not say."""
        found = re.findall(r"^run %d of %d: instantiate ([\d.]+) ms, run ([\d.]+) ms$" % (self.runs, self.runs), said, re.M)
        return (float(found[-1][0]) + float(found[-1][1])) / 1e3 if found else None


class JavaScript(Engine):
    def command(self, job):
        return self.program + self.flags + [WASI_SCRIPT] + mapped(job) + preloaded(job) + [job.image] + job.args


class Wasmtime(Engine):
    def command(self, job):
        if self.program[-1] == WASMTIME_RUNNER:
            return self.program + mapped(job) + preloaded(job) + [job.image] + job.args
        return self.program + ["run"] + self.flags + mapped(job) + preloaded(job) + [job.image] + job.args


class Wasm3(Engine):
    def command(self, job):
        return None if job.preloads or job.dirs else self.program + self.flags + [job.image] + job.args


class Iwasm(Engine):
    def command(self, job):
        if job.preloads or any(guest != "." for _, guest in job.dirs):
            return None
        return self.program + self.flags + [f"--dir={host}" for host, _ in job.dirs] + [job.image] + job.args


def all_engines():
    """Every column there is, in the order in which it is shown. Those with default=False run only when named."""
    wasmtime = ["-W", "exceptions"]
    return [
        Native("native", "native", "the same source compiled by clang for this kind of machine"),
        Native("native-scalar", "native-scalar", "native with the compiler's vectoriser off", default=False),
        Vmrun("vmrun", "vmrun", "nothing kept from earlier runs"),
        Vmrun("vmrun-warm", "vmrun", "with code of earlier runs", cache="on", default=False),
        Steady("vmrun-steady", "vmrun", f"the last of {Steady.runs} runs in one process, by its own clock", default=False),
        Vmrun("vmrun-baseline", "vmrun", "no optimised code", ["-O", "tier=interp+baseline"]),
        Vmrun("vmrun-interp", "vmrun", "its interpreter alone", ["-O", "tier=interp"]),
        Vmrun("vmrun-compiled", "vmrun", "baseline code at every function's first call", ["-O", "tier=baseline"]),
        Vmrun("vmrun-eager", "vmrun", "baseline code of all functions before the first instruction",
              ["-O", "tier=interp+baseline,eager=baseline"], default=False),
        Vmrun("vmrun-quick", "vmrun", "only the quick translation", ["-O", "tier=interp,effort=quick"], default=False),
        Vmrun("vmrun-careful", "vmrun", "the careful translation at first call", ["-O", "tier=interp,effort=careful"], default=False),
        Vmrun("vmrun-opt", "vmrun", "optimised code at every function's first call", ["-O", "tier=opt"], default=False),
        Vmrun("before", "before", "another build of this project: --with before=FILE", default=False),
        Vmrun("before-baseline", "before", "the same, interpreter and baseline compiler", ["-O", "tier=interp+baseline"],
              default=False),
        Vmrun("before-compiled", "before", "the same, baseline code at every first call", ["-O", "tier=baseline"],
              default=False),
        Vmrun("before-interp", "before", "the same, the interpreter alone", ["-O", "tier=interp"], default=False),
        Vmrun("before-opt", "before", "the same, optimised code at every first call", ["-O", "tier=opt"], default=False),
        JavaScript("node", "node", "V8, its default tiers", ["--no-warnings"]),
        JavaScript("node-baseline", "node", "V8, baseline compiler only", ["--no-warnings", "--liftoff-only"],
                   default=False),
        JavaScript("node-optimised", "node", "V8, optimising compiler only",
                   ["--no-warnings", "--no-liftoff"], default=False),
        JavaScript("bun", "bun", "JavaScriptCore, its default tiers"),
        Wasmtime("wasmtime", "wasmtime", "Cranelift", wasmtime + ["-C", "cache=n"], cache="off"),
        Wasmtime("wasmtime-warm", "wasmtime", "Cranelift, compiled before", wasmtime + ["-C", "cache=y"], cache="on",
                 default=False),
        Wasmtime("wasmtime-baseline", "wasmtime", "Winch", wasmtime + ["-C", "cache=n,compiler=winch"], cache="off"),
        Wasmtime("wasmtime-interp", "wasmtime", "Pulley, an interpreter",
                 wasmtime + ["-C", "cache=n", "--target", "pulley64"], cache="off"),
        Wasm3("wasm3", "wasm3", "an interpreter"),
        Iwasm("iwasm", "iwasm", "WAMR", ["--stack-size=1048576"]),
    ]


def find(engines, given, build):
    """Fills in `program` of every engine. `given` maps a family to the path of its program; then the PATH is asked."""
    for engine in engines:
        family = engine.family
        if engine.kind == "native":
            folder = os.path.join(build, "bench", "guests", family)
            if os.path.isdir(folder):
                engine.program = [folder]
            else:
                engine.why_missing = f"{folder} is not there: build the target bench_guests"
            continue
        path = given.get(family)
        if path is None and family == "vmrun":
            path = os.path.join(build, "vmrun")
        path = shutil.which(path or family)
        if path:
            engine.program = [os.path.abspath(path)]
        elif family == "wasmtime" and engine.name == "wasmtime" and importlib.util.find_spec("wasmtime"):
            engine.program = [sys.executable, WASMTIME_RUNNER]
            engine.version = lambda: "PyPI package " + first_line(
                [sys.executable, "-c", "import importlib.metadata as m; print(m.version('wasmtime'))"])
            engine.flags, engine.cache = [], "off"
        else:
            engine.why_missing = f"no '{family}' on the PATH (say --with {family}=FILE)"
