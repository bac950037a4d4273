"""The comparison as one SVG picture, written by hand: a bar for every engine's mean, and a dot for every program."""
import html
import math

from .report import geometric_mean, ratios

FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""
INK, SOFT, GRID, PAPER = "#1f2933", "#6b7785", "#dfe4ea", "#ffffff"
OURS, PEER = "#d1495b", "#5b8db8"


def text(x, y, value, size=13, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{html.escape(str(value))}</text>')


def ticks(most):
    steps = [1, 2, 5, 10, 20, 50, 100, 200, 500]
    return [s for s in steps if s <= most * 1.3]


def svg(table, programs, engines, machine):
    """One row per engine, fastest first: its geometric mean as a bar, each guest's ratio as a dot, on a log scale."""
    guests = [p for p in programs if p.group == "guests"]
    rows = []
    for e in engines:
        each = ratios(table, guests, e.name, "native")
        if e.name.startswith("native") or not each:
            continue
        rows.append((geometric_mean(list(each.values())), e, each))
    rows.sort(key=lambda r: r[0])
    if not rows:
        return None
    least = min(0.8, min(min(r[2].values()) for r in rows))
    most = max(max(r[2].values()) for r in rows)
    left, right, top, step = 190, 90, 92, 46
    width, height = 960, top + step * len(rows) + 74

    def x(ratio):
        span = math.log(most * 1.1) - math.log(least)
        return left + (width - left - right) * (math.log(ratio) - math.log(least)) / span

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" {FONT}>',
           f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
           text(28, 36, "Time to run a program, native = 1", 20, weight="600"),
           text(28, 60, f"Whole process, best of the rounds, {len(guests)} guests; bar: geometric mean, dots: programs. "
                        "Shorter is better; the scale is logarithmic.", 13, SOFT)]
    bottom = top + step * len(rows)
    for tick in ticks(most):
        if tick < least:
            continue
        style = f'stroke="{INK}"' if tick == 1 else f'stroke="{GRID}" stroke-dasharray="2 3"'
        out.append(f'<line x1="{x(tick):.1f}" y1="{top - 6}" x2="{x(tick):.1f}" y2="{bottom}" {style}/>')
        out.append(text(x(tick), bottom + 18, f"{tick}×", 12, SOFT, "middle"))
    for i, (mean, engine, each) in enumerate(rows):
        y = top + step * i
        colour = OURS if engine.family == "vmrun" else PEER
        end = x(mean)
        start = x(1)
        out.append(text(left - 14, y + 19, engine.name, 14, colour if engine.family == "vmrun" else INK, "end", "600"))
        out.append(text(left - 14, y + 34, engine.says.replace("this project, as it comes", "this project"), 10, SOFT, "end"))
        out.append(f'<rect x="{min(start, end):.1f}" y="{y + 9}" width="{max(abs(end - start), 1):.1f}" height="20" rx="3" '
                   f'fill="{colour}" fill-opacity="0.85"/>')
        for name, ratio in each.items():
            out.append(f'<circle cx="{x(ratio):.1f}" cy="{y + 19}" r="3.2" fill="{PAPER}" fill-opacity="0.85" '
                       f'stroke="{colour}" stroke-width="1.3"><title>{html.escape(name)} {ratio:.2f}</title></circle>')
        partial = "" if len(each) == len(guests) else f" ({len(each)} of {len(guests)})"
        out.append(text(width - 12, y + 18, f"{mean:.2f}", 14, INK, "end", "600"))
        if partial:
            out.append(text(width - 12, y + 33, partial.strip(" ()"), 10, SOFT, "end"))
    out.append(text(28, height - 22, f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}", 11, SOFT))
    out.append("</svg>")
    return "\n".join(out) + "\n"
