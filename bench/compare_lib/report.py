"""What bench/compare prints: the table as text, and the same figures as JSON."""
import math
import os
import platform
import time


def machine():
    """The processor, the cores, the memory and the load while the figures were taken."""
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory / 2**30, 1),
            "kernel": platform.release(), "load": [round(x, 2) for x in os.getloadavg()],
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def good(cell):
    return cell is not None and cell.seconds and not cell.problem


def ratios(table, programs, engine, base):
    """{program name: best time of `engine` over that of `base`}, for the programs both ran."""
    result = {}
    for p in programs:
        cell, native = table[p.name].get(engine), table[p.name].get(base)
        if good(cell) and good(native):
            result[p.name] = cell.best / native.best
    return result


def common_mean(table, programs, engines, base):
    """The geometric means over the programs that every one of `engines` ran, and how many those are."""
    names = [p.name for p in programs if all(good(table[p.name].get(e)) for e in engines + [base])]
    chosen = [p for p in programs if p.name in names]
    return {e: geometric_mean(list(ratios(table, chosen, e, base).values())) for e in engines}, len(names)


def figure(value, digits=2):
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if value < 100 else f"{value:.0f}"


def table_text(rows, header):
    widths = [max(len(r[i]) for r in rows + [header]) for i in range(len(header))]
    def line(cells):
        return "  ".join([cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]).rstrip()
    return "\n".join([line(header), line(["-" * w for w in widths])] + [line(r) for r in rows])


def same_file(a, b):
    try:
        with open(a, "rb") as x, open(b, "rb") as y:
            return x.read() == y.read()
    except OSError:
        return False


def vectorised(table, program):
    """Whether native works with vectors: by its nature, or gaining a fifth by the vectoriser (if native-scalar ran)."""
    if program.vectorised:
        return True
    cells = table[program.name]
    if not (good(cells.get("native-scalar")) and good(cells.get("native"))):
        return False
    folder, name = os.path.split(program.job.native)
    if same_file(program.job.native, os.path.join(os.path.dirname(folder), "native-scalar", name)):
        return False
    return cells["native-scalar"].best / cells["native"].best > 1.2


def guests_text(table, programs, engines):
    columns = [e.name for e in engines if e.name != "native"]
    rows = []
    for p in programs:
        native = table[p.name].get("native")
        row = [p.name + (" v" if vectorised(table, p) else ""), figure(native.best * 1000, 0) if good(native) else "-"]
        for name in columns:
            row.append(figure(ratios(table, [p], name, "native").get(p.name)))
        rows.append(row)
    means, medians, worst, counts = ["geometric mean", ""], ["the same of medians", ""], ["worst", ""], ["programs run", ""]
    scalar = ["geometric mean without v", ""]
    for name in columns:
        each = ratios(table, programs, name, "native")
        means.append(figure(geometric_mean(list(each.values()))))
        middle = [table[p.name][name].median / table[p.name]["native"].median for p in programs if p.name in each]
        medians.append(figure(geometric_mean(middle)))
        plain = [ratio for p in programs for ratio in [each.get(p.name)] if ratio and not vectorised(table, p)]
        scalar.append(figure(geometric_mean(plain)))
        worst.append(figure(max(each.values())) if each else "-")
        counts.append(f"{len(each)}/{len(programs)}")
    rows += [[""] * (len(columns) + 2), means, scalar, medians, worst, counts]
    peers = [c for c in columns if any(good(table[p.name].get(c)) for p in programs)]
    shared, n = common_mean(table, programs, peers, "native")
    rows.append([f"mean of the {n} all ran", ""] + [figure(shared.get(c)) for c in columns])
    text = table_text(rows, ["guest", "native ms"] + columns)
    note = "  v: native works with vectors\n"
    return f"Guests, ratio of the best time to native's\n\n{text}\n{note}"


def seconds_text(title, table, programs, engines, factor):
    columns = [e.name for e in engines if any(table[p.name][e.name].seconds for p in programs)]
    rows = []
    for p in programs:
        for label, pick in (("best", lambda c: c.best), ("median", lambda c: c.median)):
            rows.append([f"{p.name}, {label}"] +
                        [figure(pick(table[p.name][c]) * factor) if good(table[p.name][c]) else "-" for c in columns])
        rows.append([f"{p.name}, peak MiB"] +
                    [figure(table[p.name][c].memory / 1024, 1) if good(table[p.name][c]) else "-" for c in columns])
    return f"{title}\n\n{table_text(rows, [''] + columns)}\n"


def image_means_text(table, programs, engines):
    """Geometric means over the real images, of time and of memory, to those of V8."""
    if not any(e.name == "node" for e in engines):
        return ""
    columns = [e.name for e in engines if e.name != "node" and any(good(table[p.name][e.name]) for p in programs)]
    rows = []
    for label, pick in (("time", lambda c: c.best), ("memory", lambda c: c.memory)):
        row = [label]
        for c in columns:
            row.append(figure(geometric_mean([pick(table[p.name][c]) / pick(table[p.name]["node"]) for p in programs
                                              if good(table[p.name][c]) and good(table[p.name]["node"])])))
        rows.append(row)
    return f"The same as geometric means to V8's\n\n{table_text(rows, [''] + columns)}\n"


def long_means_text(table, programs, engines):
    """Ratios of each engine's best time to that of vmrun without optimised code, and to V8's."""
    text = ""
    for base in ("vmrun-baseline", "node"):
        columns = [e.name for e in engines if e.name != base and any(good(table[p.name][e.name]) for p in programs)]
        if base not in {e.name for e in engines} or not columns:
            continue
        each = {c: ratios(table, programs, c, base) for c in columns}
        rows = [[p.name] + [figure(each[c].get(p.name)) for c in columns] for p in programs]
        rows.append(["geometric mean"] + [figure(geometric_mean(list(each[c].values()))) for c in columns])
        text += f"Ratio of the best time to that of {base}\n\n{table_text(rows, [''] + columns)}\n\n"
    return text


def memory_text(table, programs, engines):
    columns = [e.name for e in engines if any(good(table[p.name][e.name]) for p in programs)]
    rows = []
    for label, pick in (("median", lambda v: sorted(v)[len(v) // 2]), ("most", max)):
        row = [label]
        for c in columns:
            values = [table[p.name][c].memory / 1024 for p in programs if good(table[p.name][c])]
            row.append(figure(pick(values), 1) if values else "-")
        rows.append(row)
    return f"Peak resident memory over the guests, MiB\n\n{table_text(rows, [''] + columns)}\n"


def problems_text(table, programs, engines):
    lines = [f"  {p.name}, {e.name}: {table[p.name][e.name].problem}" for p in programs for e in engines
             if table[p.name][e.name].problem and table[p.name][e.name].problem != "not possible"]
    return "Did not count\n\n" + "\n".join(lines) + "\n" if lines else ""


def engines_text(engines, missing, manifest):
    rows = []
    for e in engines:
        version = e.version() if e.version() else manifest.get("compiler", "")
        flags = " ".join(e.flags) if e.kind != "native" else manifest.get("flags", "")
        rows.append([e.name, version, flags or "-", e.cache, e.says])
    header = ["engine", "version", "flags", "cache", ""]
    widths = [max(len(r[i]) for r in rows + [header]) for i in range(len(header))]
    text = "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in [header] + rows)
    for e in missing:
        text += f"\n{e.name}: missing ({e.why_missing})"
    return text + "\n"


def as_json(table, programs, engines, missing, manifest, settings):
    def cell(c):
        if not good(c):
            return {"problem": c.problem or "not run"}
        return {"best_s": c.best, "median_s": c.median, "cpu_s": min(c.cpu), "peak_kib": c.memory, "seconds": c.seconds}

    guests = [p for p in programs if p.group == "guests"]
    return {
        "machine": machine(), "settings": settings,
        "guests_compiled_with": {k: manifest.get(k) for k in ("compiler", "flags")},
        "engines": [{"name": e.name, "version": e.version(), "flags": e.flags, "cache": e.cache, "says": e.says}
                    for e in engines],
        "missing": [{"name": e.name, "why": e.why_missing} for e in missing],
        "programs": [{"name": p.name, "says": p.says, "group": p.group,
                      "cells": {e.name: cell(table[p.name][e.name]) for e in engines}} for p in programs],
        "geometric_mean_to_native": {e.name: geometric_mean(list(ratios(table, guests, e.name, "native").values()))
                                     for e in engines},
    }
