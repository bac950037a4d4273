"""How fast baseline compilers are, on one thread and within one process: ours by bench_baseline, V8's by the clock."""
import json
import os
import subprocess

from .report import figure, table_text

# V8 validates while it compiles; it compiles everything at once only when it is told not to be lazy.
V8_FLAGS = ["--no-warnings", "--liftoff-only", "--no-wasm-lazy-compilation", "--no-wasm-lazy-validation", "--single-threaded"]
V8_SCRIPT = """
const bytes = require('fs').readFileSync(process.argv[1]);
let best = Infinity;
for (let i = 0; i < 5; i++) {
  const start = process.hrtime.bigint();
  new WebAssembly.Module(Buffer.concat([bytes, Buffer.from([0, 2, 1, i])]));  // an empty section: no cache knows it
  best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9);
}
console.log(best);
"""


def ours(bench, image):
    """Bytes of functions, bytes of them a second, code bytes and (largest function) memory for each; None if it fails."""
    run = subprocess.run([bench, "--benchmark_format=json"], env=dict(os.environ, VMRUN_BENCH_IMAGE=image),
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        rows = {b["name"].split("/")[0]: b for b in json.loads(run.stdout)["benchmarks"]}
        every, largest = rows["compile_all"], rows["largest_function"]
        speed = every["bytes_per_second"]
        return {"bytes": speed * every["cpu_time"] / 1e3, "bytes_per_second": speed, "code_per_byte": every["code_per_byte"],
                "largest_function_bytes": largest["bytes"], "memory_per_byte": largest["memory_per_byte"] or None}  # None: it was over before anybody looked
    except (ValueError, KeyError):
        return None


def v8(engine, image):
    """Seconds for the whole image, its validation included; None if it fails."""
    run = subprocess.run(engine.program + V8_FLAGS + ["-e", V8_SCRIPT, image], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    try:
        return float(run.stdout)
    except ValueError:
        return None


def measure(build, images, engines):
    """A row for each image file with a megabyte of functions or more; empty without bench_baseline."""
    bench = os.path.join(build, "bench", "bench_baseline")
    if not os.path.isfile(bench):
        return []
    node = next((e for e in engines if e.family == "node"), None)
    rows = []
    for image in (i for i in images if os.path.getsize(i) > 1e6):
        row = ours(bench, image)
        if row is None or row["bytes"] < 1e6:
            continue
        row["image"] = os.path.basename(image)
        seconds = v8(node, image) if node else None
        row["v8_bytes_per_second"] = row["bytes"] / seconds if seconds else None
        rows.append(row)
    return rows


def text(rows):
    def mega(value):
        return figure(value / 1e6, 1) if value else "-"

    table = table_text([[r["image"], mega(r["bytes"]), mega(r["bytes_per_second"]), figure(r["code_per_byte"]),
                         figure(r["memory_per_byte"], 1), mega(r["v8_bytes_per_second"])] for r in rows],
                       ["", "MB of functions", "MB/s", "code bytes a byte", "memory bytes a byte", "V8 MB/s"])
    return ("Baseline compilers, one thread (V8's, Liftoff, with validation; memory: beyond the code, of the largest "
            f"function)\n\n{table}\n")
