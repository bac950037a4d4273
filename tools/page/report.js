// The page of `vmrun report`. It reads what is embedded in it and asks nobody anything. Text from dumps becomes text nodes
// only, never markup.
'use strict';

const DUMPS = JSON.parse(document.getElementById('data').textContent);
const CODES = ['interp', 'baseline', 'opt', 'host', 'cut'];
const CODE_NAMES = {
  interp: 'interpreter', baseline: 'baseline code', opt: 'optimised code', host: 'host and vmrun', cut: 'frames left out',
};
const ENDS = {
  end: 'ended by itself', failure: 'ended by a trap or an exception', 'time limit': 'ended by its time limit',
  interrupt: 'interrupted', signal: 'still running, asked for by a signal', interval: 'still running',
};
const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const svg = ['svg', 'g', 'rect', 'line', 'path', 'text', 'title'].includes(tag);
  const element = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A length of time, given in nanoseconds. */
function time(ns) {
  if (Math.abs(ns) >= 1e9) return (ns / 1e9).toFixed(2) + ' s';
  if (Math.abs(ns) >= 1e6) return (ns / 1e6).toFixed(1) + ' ms';
  if (Math.abs(ns) >= 1e3) return (ns / 1e3).toFixed(1) + ' µs';
  return ns + ' ns';
}
const percent = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(1) + ' %' : '–');
const hex = (offset) => '0x' + offset.toString(16);
/** A function's name, with its module's where there are several. */
const label = (f, several) => (f.module && several ? f.module + '!' + f.name : f.name);

// ---- the dump's samples, by function --------------------------------------------------------------------------------

/** The tree of stacks with one node for each function and tier, whatever the instruction. */
function treeOf(sampling) {
  const several = new Set(sampling.functions.map((f) => f.module).filter(Boolean)).size > 1;
  const root = {name: 'all', code: 'cut', self: 0, total: 0, depth: 0, parent: null, children: new Map()};
  const at = [root];
  for (let i = 1; i < sampling.nodes.length; ++i) {
    const [parent, index, , code, , self] = sampling.nodes[i];
    const above = at[parent];
    const key = index + code;
    let node = above.children.get(key);
    if (!node) {
      const f = sampling.functions[index];
      node = {name: label(f, several), code, self: 0, total: 0, depth: above.depth + 1, parent: above, children: new Map()};
      above.children.set(key, node);
    }
    node.self += self;
    at.push(node);
    for (let n = node; n; n = n.parent) n.total += self;
  }
  root.self += sampling.nodes.length ? sampling.nodes[0][5] : 0;
  root.total += root.self;
  return root;
}

/** Time of each function itself, by tier, and with what it calls; and its instructions. */
function functionsOf(dump) {
  const out = new Map();
  const get = (module, name, index) => {
    const key = module + '\u0000' + name + '\u0000' + index;
    if (!out.has(key)) {
      out.set(key, {key, module, name, index, self: 0, total: 0, codes: {}, offsets: new Map(), heat: 0, tier: '', bytes: 0,
        loops: []});
    }
    return out.get(key);
  };
  const s = dump.sampling;
  for (let i = 1; s && i < s.nodes.length; ++i) {
    const [, index, offset, code, samples, self] = s.nodes[i];
    if (!samples) continue;
    const f = s.functions[index];
    const entry = get(f.module, f.name, f.index);
    entry.self += self;
    entry.codes[code] = (entry.codes[code] || 0) + self;
    entry.offsets.set(offset, (entry.offsets.get(offset) || 0) + self);
    const seen = new Set();
    for (let n = i; n; n = s.nodes[n][0]) {
      if (seen.has(s.nodes[n][1])) continue;
      seen.add(s.nodes[n][1]);
      const g = s.functions[s.nodes[n][1]];
      get(g.module, g.name, g.index).total += self;
    }
  }
  for (const module of dump.modules) {
    for (const f of module.functions) {
      const entry = get(module.name, f.name, f.index);
      Object.assign(entry, {heat: f.heat_ns, tier: f.tier, bytes: f.bytes, loops: f.loops});
    }
  }
  return [...out.values()];
}

// ---- the flame graph ------------------------------------------------------------------------------------------------

const ROW = 22;
const flame = {root: null, zoom: null, boxes: [], current: null};

function boxText(node) {
  return `${node.name}: ${time(node.total)} (${percent(node.total, flame.root.total)}), ` +
    `${time(node.self)} of its own, in ${CODE_NAMES[node.code]}`;
}

/** Draws what lies beneath flame.zoom, and the callers above it. */
function drawFlame() {
  const graph = $('flame');
  graph.textContent = '';
  flame.boxes = [];
  const whole = flame.zoom.total || 1;
  const add = (node, left, width, above) => {
    const box = make('div', {
      class: node.code + (above ? ' above' : ''), role: 'treeitem', tabindex: '-1', 'aria-level': node.depth + 1,
      'aria-label': boxText(node), title: boxText(node),
      style: `left:${100 * left}%;width:${100 * width}%;top:${ROW * node.depth}px`,
    }, width > 0.02 ? node.name : '');
    box.node = node;
    flame.boxes.push(box);
    graph.append(box);
  };
  for (let node = flame.zoom.parent; node; node = node.parent) add(node, 0, 1, true);
  let deepest = flame.zoom.depth;
  const walk = (start) => {
    const todo = [start];
    while (todo.length) {
      const [node, left] = todo.pop();
      const width = node.total / whole;
      if (width < 0.0008) continue;
      add(node, left, width, false);
      deepest = Math.max(deepest, node.depth);
      let at = left;
      for (const child of [...node.children.values()].sort((a, b) => b.total - a.total)) {
        todo.push([child, at]);
        at += child.total / whole;
      }
    }
  };
  walk([flame.zoom, 0]);
  graph.style.height = ROW * (deepest + 1) + 'px';
  choose(flame.zoom, false);
  search();
}

const boxOf = (node) => flame.boxes.find((box) => box.node === node);

/** Makes `node` the one that keys start from. */
function choose(node, focus = true) {
  const box = boxOf(node);
  if (!box) return;
  for (const other of flame.boxes) other.tabIndex = -1;
  box.tabIndex = 0;
  flame.current = node;
  if (!focus) return;
  box.focus({preventScroll: false});
  $('detail').textContent = boxText(node);
}

function zoomTo(node) {
  flame.zoom = node;
  drawFlame();
  choose(node);
}

/** Marks the boxes whose names hold the text, and says how much time they are. */
function search() {
  const text = $('search').value.trim().toLowerCase();
  const graph = $('flame');
  graph.classList.toggle('searching', text !== '');
  for (const box of flame.boxes) box.classList.toggle('hit', text !== '' && box.node.name.toLowerCase().includes(text));
  if (!text) return void ($('found').textContent = '');
  // What is called by a hit counts with it.
  let sum = 0, count = 0;
  const todo = [flame.root];
  while (todo.length) {
    const node = todo.pop();
    if (node.name.toLowerCase().includes(text)) {
      sum += node.total;
      ++count;
    } else {
      todo.push(...node.children.values());
    }
  }
  $('found').textContent = `${count} found, ${percent(sum, flame.root.total)} of the time`;
}

function flameKey(event) {
  const node = flame.current;
  const siblings = node.parent ? [...node.parent.children.values()].sort((a, b) => b.total - a.total) : [node];
  const place = siblings.indexOf(node);
  const moves = {
    ArrowUp: () => node.parent && choose(node.parent),
    ArrowDown: () => node.children.size && choose([...node.children.values()].sort((a, b) => b.total - a.total)[0]),
    ArrowLeft: () => place > 0 && choose(siblings[place - 1]),
    ArrowRight: () => place + 1 < siblings.length && choose(siblings[place + 1]),
    Home: () => choose(flame.root),
    Enter: () => zoomTo(node),
    ' ': () => zoomTo(node),
    Escape: () => zoomTo(flame.zoom.parent || flame.root),
  };
  const move = moves[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  move();
}

// ---- tables ---------------------------------------------------------------------------------------------------------

/** Fills a table: columns are {title, text?, value(row), cell?(row)}. Headings sort, the first time by `sort`. */
function fillTable(table, columns, rows, sort, most = 30) {
  let by = sort, down = true;
  const draw = () => {
    const sorted = [...rows].sort((a, b) => {
      const [x, y] = [columns[by].value(a), columns[by].value(b)];
      const order = typeof x === 'string' ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    const head = make('tr');
    columns.forEach((column, i) => {
      const state = i === by ? (down ? 'descending' : 'ascending') : 'none';
      head.append(make('th', {scope: 'col', 'aria-sort': state, class: column.text ? 'text' : null},
        make('button', {type: 'button', onclick: () => {
          down = i === by ? !down : !column.text;
          by = i;
          draw();
          table.querySelectorAll('th button')[i].focus();
        }}, column.title + (i === by ? (down ? ' ▾' : ' ▴') : ''))));
    });
    const body = make('tbody');
    for (const row of sorted.slice(0, most)) {
      const line = make('tr');
      for (const column of columns) {
        line.append(make('td', {class: column.class || (column.text ? 'text' : null)},
          column.cell ? column.cell(row) : String(column.value(row))));
      }
      body.append(line);
    }
    table.textContent = '';
    if (sorted.length > most) {
      table.append(make('caption', {}, `The first ${most} of ${sorted.length} `,
        make('button', {type: 'button', onclick: () => {
          most = Infinity;
          draw();
        }}, 'Show all')));
    }
    table.append(make('thead', {}, head), body);
  };
  draw();
}

function showLines(entry) {
  const table = make('table');
  const rows = [...entry.offsets].map(([offset, self]) => ({offset, self}));
  const loops = entry.loops.map((l) => `the loop at ${hex(l.offset)} in ${CODE_NAMES[l.tier]}`).join(', ');
  fillTable(table, [
    {title: 'Offset in the image', text: true, value: (r) => r.offset, cell: (r) => hex(r.offset)},
    {title: 'Time', value: (r) => r.self, cell: (r) => time(r.self)},
    {title: 'Share', value: (r) => r.self, cell: (r) => percent(r.self, entry.self)},
  ], rows, 1, 40);
  const out = $('lines');
  out.textContent = '';
  out.append(make('h3', {}, entry.name), make('p', {class: 'note'},
    'Time by instruction; vmrun objdump shows what stands there.' + (loops ? ' Hot: ' + loops + '.' : '')), table);
}

function showFunctions(dump, entries) {
  const all = entries.reduce((sum, e) => sum + e.self, 0);
  const text = $('filter').value.trim().toLowerCase();
  const rows = entries.filter((e) => e.name.toLowerCase().includes(text));
  const leftOut = dump.modules.reduce((sum, module) => sum + (module.functions_left_out || 0), 0);
  $('heat-note').hidden = leftOut === 0;
  $('heat-note').textContent = `${leftOut} functions with less time are not in the dump.`;
  const bar = (e) => {
    const out = make('span', {title: CODES.filter((c) => e.codes[c]).map((c) => CODE_NAMES[c] + ' ' + time(e.codes[c]))
      .join(', ')});
    for (const c of CODES) {
      if (e.codes[c]) out.append(make('span', {class: 'bar ' + c, style: `width:${120 * e.codes[c] / (all || 1)}px`}));
    }
    return out;
  };
  fillTable($('heat'), [
    {title: 'Function', text: true, class: 'name', value: (e) => e.name,
      cell: (e) => make('button', {type: 'button', title: e.name, onclick: () => showLines(e)}, e.name)},
    {title: 'Self', value: (e) => e.self, cell: (e) => time(e.self)},
    {title: 'Self %', value: (e) => e.self, cell: (e) => percent(e.self, all)},
    {title: 'With callees', value: (e) => e.total, cell: (e) => time(e.total)},
    {title: 'By tier', text: true, value: (e) => e.codes.opt || 0, cell: bar},
    {title: 'Tier now', text: true, value: (e) => e.tier},
    {title: 'Heat', value: (e) => e.heat, cell: (e) => time(e.heat)},
    {title: 'Bytes', value: (e) => e.bytes},
  ], rows, 1);
}

/** Time by line of the guest's source, where images have debug information. */
function showSource(dump) {
  const rows = [];
  for (const module of dump.modules) {
    for (const l of module.lines || []) {
      const self = Object.values(l.self_ns).reduce((sum, ns) => sum + ns, 0);
      rows.push({...l, self, place: l.file.slice(l.file.lastIndexOf('/') + 1) + ':' + l.line});
    }
  }
  $('source-section').hidden = rows.length === 0;
  if (rows.length === 0) return;
  const all = dump.sampling ? dump.sampling.total_ns : 0;
  const columns = [
    {title: 'Line', text: true, class: 'name', value: (r) => r.file + ':' + String(r.line).padStart(9, '0'),
      cell: (r) => make('span', {title: r.file + ':' + r.line}, r.place)},
    {title: 'Self', value: (r) => r.self, cell: (r) => time(r.self)},
    {title: 'Self %', value: (r) => r.self, cell: (r) => percent(r.self, all)},
    {title: 'Function', text: true, class: 'name', value: (r) => r.function},
  ];
  if (rows.some((r) => r.text !== undefined)) {
    columns.push({title: 'Text', text: true, value: (r) => r.text || '', cell: (r) => make('code', {}, r.text || '')});
  }
  fillTable($('source'), columns, rows, 1, 40);
}

function showCompiles(dump) {
  const c = dump.compiles;
  const sum = (key) => c.reduce((all, one) => all + one[key], 0);
  $('compile-sum').textContent = `${c.length} compiles: ${time(sum('waited_ns'))} in the queue, ` +
    `${time(sum('compile_ns'))} compiling, ${time(sum('install_ns'))} installing, ${time(sum('publish_ns'))} publishing` +
    (dump.compiles_left_out ? `; ${dump.compiles_left_out} more are not in the dump` : '');
  const figure = (key) => ({value: (r) => r[key], cell: (r) => (r[key] ? time(r[key]) : '–')});
  fillTable($('compiles'), [
    {title: 'Function', text: true, class: 'name', value: (r) => r.function,
      cell: (r) => r.function + (r.loop === null ? '' : ', loop at ' + hex(r.loop))},
    {title: 'To', text: true, value: (r) => r.to},
    {title: 'Why', text: true, value: (r) => r.reason + (r.work ? ', ' + r.work : '')},
    {title: 'Heat', ...figure('heat_ns')},
    {title: 'Gain', ...figure('gain_ns')},
    {title: 'Cost', ...figure('cost_ns')},
    {title: 'Waiting', value: (r) => r.waiting},
    {title: 'In queue', ...figure('waited_ns')},
    {title: 'Compile', ...figure('compile_ns')},
    {title: 'Begun at', value: (r) => r.begin_ns, cell: (r) => time(r.begin_ns)},
    {title: 'Bytes', value: (r) => r.code_bytes, cell: (r) => `${r.wasm_bytes} → ${r.code_bytes}`},
    {title: 'Failed because', text: true, value: (r) => r.failure || ''},
  ], c, 8);
}

// ---- the time line --------------------------------------------------------------------------------------------------

function compileText(c) {
  const figures = c.work ? ` It had used ${time(c.heat_ns)}, of which ${time(c.gain_ns)} would have been saved, ` +
    `for a cost of ${time(c.cost_ns)}; ${c.waiting} waited, ${c.idle ? 'a' : 'no'} processor was idle.` : '';
  return `${c.function}${c.loop === null ? '' : ', loop at ' + hex(c.loop)}: ${CODE_NAMES[c.to]} because of ` +
    `${c.reason}${c.work ? ' (' + c.work + ')' : ''}.${figures} Begun at ${time(c.begin_ns)}, ` +
    `${time(c.waited_ns)} in the queue, ${time(c.compile_ns)} compiling.` + (c.failure ? ` Failed: ${c.failure}.` : '');
}

function drawTime(dump) {
  const svg = $('time');
  svg.textContent = '';
  const width = 1100, left = 90, chart = width - left - 10;
  const x = (ns) => left + chart * Math.min(Math.max(ns / (dump.duration_ns || 1), 0), 1);
  const say = (text) => () => { $('time-detail').textContent = text; };
  let top = 0;
  // What ran: processor time of each slice, by tier.
  const ticks = dump.sampling ? dump.sampling.ticks : [];
  const bins = 110, height = 80;
  const slices = Array.from({length: bins}, () => ({}));
  for (const [at, , node, used] of ticks) {
    const slice = slices[Math.min(bins - 1, Math.max(0, Math.floor(bins * at / (dump.duration_ns || 1))))];
    const code = dump.sampling.nodes[node][3];
    slice[code] = (slice[code] || 0) + used;
  }
  const fullest = Math.max(1, ...slices.map((s) => CODES.reduce((sum, c) => sum + (s[c] || 0), 0)));
  slices.forEach((slice, i) => {
    let y = height;
    for (const code of CODES) {
      if (!slice[code]) continue;
      const h = height * slice[code] / fullest;
      y -= h;
      svg.append(make('rect', {class: code, x: left + chart * i / bins, y, width: chart / bins, height: h}));
    }
  });
  svg.append(make('text', {x: 0, y: 14}, 'what ran'));
  top += height + 8;
  // Compiles, a row for each thread of the background and one for what guests waited for.
  const threads = [...new Set(dump.compiles.filter((c) => c.background).map((c) => c.thread))];
  const rows = [['guests wait', (c) => !c.background], ...threads.map((t, i) => ['compiler ' + (i + 1),
    (c) => c.background && c.thread === t])];
  let bars = 0;
  for (const [name, belongs] of rows) {
    svg.append(make('text', {x: 0, y: top + 14}, name));
    // Short ones beside each other are one bar each as long as there are few.
    for (const c of dump.compiles.filter(belongs)) {
      if (++bars > 3000) break;
      const w = Math.max(2, x(c.begin_ns + c.compile_ns) - x(c.begin_ns));
      svg.append(make('rect', {
        class: c.failure ? 'failed' : c.to, x: x(c.begin_ns), y: top, width: w, height: 18, role: 'listitem',
        tabindex: c.to === 'opt' || c.failure ? 0 : -1, 'aria-label': compileText(c), onclick: say(compileText(c)),
        onfocus: say(compileText(c)),
      }, make('title', {}, compileText(c))));
    }
    top += 24;
  }
  // The queue's length, as each compile that was asked for found it.
  const asked = dump.compiles.filter((c) => c.waited_ns > 0).map((c) => [c.begin_ns - c.waited_ns, c.waiting])
    .sort((a, b) => a[0] - b[0]);
  const longest = Math.max(1, ...asked.map((a) => a[1]));
  svg.append(make('text', {x: 0, y: top + 14}, `queue (${longest})`));
  if (asked.length) {
    const points = asked.map(([at, n]) => `${x(at)} ${top + 26 - 24 * n / longest}`);
    svg.append(make('path', {class: 'queue', d: 'M' + points.join('L')}));
  }
  top += 34;
  for (let i = 0; i <= 5; ++i) {
    const at = dump.duration_ns * i / 5;
    svg.append(make('line', {class: 'axis', x1: x(at), x2: x(at), y1: 0, y2: top}),
      make('text', {x: x(at), y: top + 14, 'text-anchor': i === 5 ? 'end' : 'middle'}, time(at)));
  }
  svg.setAttribute('viewBox', `0 0 ${width} ${top + 20}`);
  svg.style.minWidth = '640px';
}

// ---- what changed ---------------------------------------------------------------------------------------------------

function showChanges(before, after) {
  $('compare-section').hidden = false;
  // A program's versions may have other names: with one module each, those are the same.
  const single = before.dump.modules.length === 1 && after.dump.modules.length === 1;
  const byName = (dump) => {
    const out = new Map();
    for (const e of functionsOf(dump)) {
      const key = single && e.module ? e.name : e.module + '!' + e.name;
      const known = out.get(key);
      out.set(key, known ? {...e, self: e.self + known.self} : e);
    }
    return out;
  };
  const a = byName(before.dump), b = byName(after.dump);
  const rows = [];
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const [x, y] = [a.get(key), b.get(key)];
    const [was, is] = [x ? x.self : 0, y ? y.self : 0];
    if (was || is) rows.push({name: (y || x).name, was, is, change: is - was});
  }
  const total = (key) => rows.reduce((sum, r) => sum + r[key], 0);
  $('compare-about').textContent = `Processor time of functions themselves, from ${before.name} (${time(total('was'))}) to ` +
    `${after.name} (${time(total('is'))}).`;
  const sign = (r) => make('span', {class: r.change > 0 ? 'slower' : 'faster'},
    (r.change > 0 ? '+' : '−') + time(Math.abs(r.change)) + (r.change > 0 ? ' slower' : ' faster'));
  fillTable($('compare'), [
    {title: 'Function', text: true, class: 'name', value: (r) => r.name},
    {title: 'Before', value: (r) => r.was, cell: (r) => time(r.was)},
    {title: 'After', value: (r) => r.is, cell: (r) => time(r.is)},
    {title: 'Change', value: (r) => Math.abs(r.change), cell: sign},
    {title: 'Times', value: (r) => (r.was ? r.is / r.was : Infinity),
      cell: (r) => (r.was ? (r.is / r.was).toFixed(2) : 'new')},
  ], rows, 3);
}

// ---- the page -------------------------------------------------------------------------------------------------------

/// A counter, durations, or several counters.
function schedulerText(value) {
  if (typeof value !== 'object') return value;
  if (!('measured' in value)) return Object.entries(value).map(([name, n]) => `${n} ${name}`).join(', ');
  if (value.measured === 0) return 'none was measured';
  return `${value.measured} measured: half below ${time(value.half_ns)}, nine of ten below ${time(value.nine_of_ten_ns)}, ` +
    `99 of 100 below ${time(value['99_of_100_ns'])}`;
}

function showCounters(dump) {
  const out = $('rest');
  out.textContent = '';
  const add = (name, value) => out.append(make('dt', {}, name), make('dd', {}, String(value)));
  for (const module of dump.modules) {
    for (const tier of module.tiers) {
      add(`${module.name}, ${CODE_NAMES[tier.tier]}`, `${tier.functions} functions, ${tier.loops} loops, ` +
        `${tier.wasm_bytes} bytes to ${tier.code_bytes}, ${time(tier.compile_ns)}, ${tier.osr_entries} entries in loops, ` +
        `${tier.failed} failed, ${tier.dropped} dropped`);
      for (const r of tier.reasons) add('failed because', `${r.reason} (${r.count})`);
    }
  }
  for (const [name, value] of Object.entries(dump.scheduler || {})) {
    add('scheduler: ' + name.replaceAll('_', ' '), schedulerText(value));
  }
  for (const [name, value] of Object.entries(dump.process)) {
    add('process: ' + name, name.endsWith('_ns') ? time(value) : value);
  }
}

function show({name, dump}) {
  const about = `${dump.command.join(' ')} · -O tier=${dump.tier} · ${time(dump.duration_ns)} · ${ENDS[dump.end.by]}` +
    (dump.end.status === null ? '' : `, status ${dump.end.status}`) + ` · ${dump.start} · vmrun ${dump.vmrun}`;
  $('about').textContent = about;
  document.title = 'vmrun report: ' + name;
  const sampled = dump.sampling && dump.sampling.total_ns > 0;
  $('no-samples').hidden = sampled;
  $('flame-section').hidden = !sampled;
  const codes = {};
  for (const node of dump.sampling ? dump.sampling.nodes : []) codes[node[3]] = (codes[node[3]] || 0) + node[5];
  $('share').textContent = '';
  $('legend').textContent = '';
  for (const code of CODES.filter((c) => codes[c])) {
    const text = `${CODE_NAMES[code]} ${percent(codes[code], dump.sampling.total_ns)}, ${time(codes[code])}`;
    $('share').append(make('span', {class: code, style: `flex-grow:${codes[code]}`, title: text}));
    $('legend').append(make('li', {}, make('i', {class: code}), text));
  }
  $('share').setAttribute('aria-label', [...$('legend').children].map((li) => li.textContent).join('; '));
  if (sampled) {
    flame.root = flame.zoom = treeOf(dump.sampling);
    drawFlame();
  }
  drawTime(dump);
  const entries = functionsOf(dump);
  $('lines').textContent = '';
  $('filter').oninput = () => showFunctions(dump, entries);
  showFunctions(dump, entries);
  showSource(dump);
  showCompiles(dump);
  showCounters(dump);
}

DUMPS.forEach((d, i) => $('file').append(make('option', {value: i}, d.name)));
$('which').hidden = DUMPS.length < 2;
$('file').onchange = () => show(DUMPS[$('file').value]);
$('flame').onclick = (event) => event.target.node && zoomTo(event.target.node);
$('flame').onmouseover = (event) => {
  if (event.target.node) $('detail').textContent = boxText(event.target.node);
};
$('flame').onkeydown = flameKey;
$('search').oninput = search;
$('reset').onclick = () => zoomTo(flame.root);
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || /^(INPUT|SELECT)$/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  $('search').focus();
});
show(DUMPS[0]);
if (DUMPS.length > 1) showChanges(DUMPS[0], DUMPS[1]);
