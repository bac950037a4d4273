"""Runs programs interleaved (A B C, C B A, ...), each as a whole process, and keeps what every run cost and printed."""
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from .engines import Job


@dataclasses.dataclass
class Program:
    """A row: a guest or a real image. `job_for` makes the Job; `prepare` writes inputs into the work folder."""
    name: str
    says: str
    group: str  # "guests", "images", "long" or "start"
    job: Job
    outputs: list = dataclasses.field(default_factory=list)
    ignore_stdout: bool = False
    prepare: object = None
    vectorised: bool = False  # its native twin works with vectors whatever the compiler does


@dataclasses.dataclass
class Cell:
    """What one engine did with one program: times in seconds, memory in KiB; `problem` says why there are no times."""
    seconds: list = dataclasses.field(default_factory=list)
    cpu: list = dataclasses.field(default_factory=list)
    memory: int = 0
    problem: str = None
    digest: str = None
    first_words: str = ""

    @property
    def best(self):
        return min(self.seconds)

    @property
    def median(self):
        ordered = sorted(self.seconds)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class Progress:
    """One line that is rewritten, on a terminal; nothing in a pipe."""

    def __init__(self):
        self.on = sys.stderr.isatty()

    def say(self, text):
        if self.on:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\033[K" + text[:width])
            sys.stderr.flush()

    def done(self):
        if self.on:
            sys.stderr.write("\r\033[K")


class Bench:
    """Runs jobs through the launcher in a scratch folder of its own, which it removes at the end."""

    def __init__(self, launcher, limit, clock="wall"):
        self.launcher, self.limit, self.clock = launcher, limit, clock
        self.scratch = tempfile.mkdtemp(prefix="vmrun-compare-")
        self.work = os.path.join(self.scratch, "work")
        os.environ["XDG_CACHE_HOME"] = os.path.join(self.scratch, "cache")  # not the user's, and empty at first
        self.first_words = ""  # of what the last run printed

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def run(self, engine, program):
        """One run; returns (wall seconds, cpu seconds, peak KiB, digest of what came out) or a string that says what failed."""
        command = engine.command(program.job)
        if command is None:
            return "not possible"
        shutil.rmtree(self.work, ignore_errors=True)
        os.mkdir(self.work)
        if program.prepare:
            program.prepare(self.work)
        out, err = os.path.join(self.scratch, "out"), os.path.join(self.scratch, "err")
        told = subprocess.run([self.launcher, str(self.limit), out, err] + command, cwd=self.work, capture_output=True,
                              text=True)
        if told.returncode != 0:
            return "cannot be started: " + told.stderr.strip()
        status, wall, user, system, memory = told.stdout.split()
        if status == "timeout":
            return f"longer than {self.limit} s"
        if status != "0":
            return self.complaint(status, err)
        digest = hashlib.sha256()
        wall = int(wall) / 1e9
        with open(out, "rb") as f:
            printed = f.read()
        if engine.runs > 1:
            with open(err, errors="replace") as f:
                wall = engine.last_run(f.read())
            if wall is None:
                return "did not say how long its last run took"
            once = printed[:len(printed) // engine.runs]
            if printed != once * engine.runs:
                return "output differs from run to run"
            printed = once
        if not program.ignore_stdout:
            digest.update(printed)
        for name in program.outputs:
            path = os.path.join(self.work, name)
            if not os.path.isfile(path):
                return f"wrote no {name}"
            with open(path, "rb") as f:
                digest.update(f.read())
        with open(out, errors="replace") as f:
            self.first_words = f.readline(100).strip()
        return wall, (int(user) + int(system)) / 1e6, int(memory), digest.hexdigest()

    @staticmethod
    def complaint(status, err):
        with open(err, errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        said = next((line for line in lines if "rror" in line or "trap" in line or "nsupported" in line), lines[0] if lines else "")
        what = f"signal {-int(status)}" if status.startswith("-") else f"status {status}"
        return f"{what}: {said[:160]}" if said else what


# A column with a cache shows a program that is run again and again: so many runs of each program are not counted.
WARMING_RUNS = 5


def compare(bench, engines, programs, rounds, start_rounds):
    """All rounds of all programs; returns {program name: {engine name: Cell}}. Start-up rows get more rounds.

    Every other round goes through the engines backwards, so that none always follows the same neighbour.

    An interrupt (Ctrl+C, or a polite kill) ends it early: what was measured until then is returned, the rest has no times.
    """
    progress = Progress()
    table = {p.name: {e.name: Cell() for e in engines} for p in programs}
    try:
        for program in programs:
            count = start_rounds if program.group == "start" else rounds
            for engine in engines:
                for turn in range(WARMING_RUNS if engine.cache == "on" else 0):
                    progress.say(f"{program.name}  {engine.name}  run {turn + 1} of {WARMING_RUNS} that is not counted")
                    if isinstance(bench.run(engine, program), str):
                        break
            for turn in range(count):
                for engine in engines if turn % 2 == 0 else reversed(engines):
                    cell = table[program.name][engine.name]
                    if cell.problem:
                        continue
                    progress.say(f"{program.name}  {engine.name}  round {turn + 1} of {count}")
                    result = bench.run(engine, program)
                    if isinstance(result, str):
                        cell.problem = result
                        continue
                    wall, cpu, memory, digest = result
                    cell.seconds.append(cpu if bench.clock == "cpu" and program.group != "start" else wall)
                    cell.cpu.append(cpu)
                    cell.memory = max(cell.memory, memory)
                    if cell.digest not in (None, digest):
                        cell.problem = "output differs from run to run"
                    cell.digest, cell.first_words = digest, bench.first_words
            judge(table[program.name], engines)
    except KeyboardInterrupt:
        for cells in table.values():
            judge(cells, engines)
    progress.done()
    return table


def judge(cells, engines):
    """Marks wrong output: what native printed is right; without native, what most engines printed."""
    said = [cells[e.name].digest for e in engines if cells[e.name].digest and not cells[e.name].problem]
    if not said:
        return
    native = cells["native"].digest if "native" in cells else None
    right = native or max(said, key=said.count)
    for cell in cells.values():
        if cell.digest and not cell.problem and cell.digest != right:
            cell.problem = "wrong output" if native else "output differs from the other engines'"
            cell.problem += f", which begins: {cell.first_words}" if cell.first_words else ""
