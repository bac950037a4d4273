// The other half of oracle.cpp: reads lines of a request's number and a folder, in which lie oracle.wasm and
// oracle.calls, makes the calls and writes what it sees in the words of exercise.cpp, then a line with the number.
'use strict';
const fs = require('fs');

const f32 = new Float32Array(1), f32bits = new Uint32Array(f32.buffer);
const f64 = new Float64Array(1), f64bits = new BigUint64Array(f64.buffer);

const traps = [
  [/unreachable/, 'unreachable'],
  [/by zero/, 'zero'],
  [/unrepresentable/, 'number'],
  [/memory access out of bounds|data segment|unaligned/, 'memory'],
  [/table index is out of bounds|table access|element segment/, 'table'],
  [/signature mismatch|dereferencing a null|null function/, 'function'],
];

// Types of parameters and results, which the API does not tell, come from the image itself.
function reader(bytes) {
  let at = 0;
  const byte = () => bytes[at++];
  const u = () => {
    let n = 0, shift = 0;
    for (;;) {
      const b = byte();
      n += (b & 0x7f) * 2 ** shift;
      shift += 7;
      if (b < 0x80) return n;
    }
  };
  return {byte, u, skip: (n) => { at += n; }, seek: (n) => { at = n; }, get at() { return at; },
          text: () => { const n = u(), t = Buffer.from(bytes.subarray(at, at + n)).toString(); at += n; return t; }};
}

// Leaves a constant expression behind.
function constant(r) {
  for (;;) {
    const op = r.byte();
    if (op === 0x0b) return;
    if (op === 0x41 || op === 0x42 || op === 0x23 || op === 0xd2) while (r.byte() >= 0x80);
    else if (op === 0x43) r.skip(4);
    else if (op === 0x44) r.skip(8);
    else if (op === 0xd0) while (r.byte() >= 0x80);
    else if (op === 0xfd) r.u(), r.skip(16);
  }
}

function signatures(bytes) {
  const r = reader(bytes), types = [], funcs = [], exports = new Map(), globals = [], importNames = [];
  const type = () => { const b = r.byte(); if (b === 0x63 || b === 0x64) { r.u(); return 'ref'; }
    return {0x7f: 'i32', 0x7e: 'i64', 0x7d: 'f32', 0x7c: 'f64', 0x7b: 'v128'}[b] || 'ref'; };
  const limits = () => { const flags = r.byte(); r.u(); if (flags & 1) r.u(); };
  r.seek(8);
  while (r.at < bytes.length) {
    const id = r.byte(), size = r.u(), end = r.at + size;
    if (id === 1) {
      for (let n = r.u(); n > 0; --n) {
        if (r.byte() !== 0x60) throw new Error('a type that is no function');
        const params = [], results = [];
        for (let k = r.u(); k > 0; --k) params.push(type());
        for (let k = r.u(); k > 0; --k) results.push(type());
        types.push({params, results});
      }
    } else if (id === 2) {
      for (let n = r.u(); n > 0; --n) {
        const module = r.text(), name = r.text(), kind = r.byte();
        if (kind === 0) { const t = types[r.u()]; funcs.push(t); importNames.push([module, name, t]); }
        else if (kind === 1) { type(); limits(); throw new Error('imports a table'); }
        else if (kind === 2) { limits(); throw new Error('imports a memory'); }
        else if (kind === 3) { type(); r.byte(); throw new Error('imports a global'); }
        else throw new Error('imports a tag');
      }
    } else if (id === 3) {
      for (let n = r.u(); n > 0; --n) funcs.push(types[r.u()]);
    } else if (id === 6) {
      for (let n = r.u(); n > 0; --n) {
        globals.push(type());
        r.byte();
        constant(r);
      }
    } else if (id === 7) {
      for (let n = r.u(); n > 0; --n) {
        const name = r.text(), kind = r.byte(), index = r.u();
        if (kind === 0) exports.set(name, funcs[index]);
        if (kind === 3) exports.set(name, globals[index]);
      }
    }
    r.seek(end);
  }
  return {exports, importNames};
}

function describe(type, value) {
  switch (type) {
    case 'i32': return 'i32:' + (value >>> 0).toString(16);
    case 'i64': return 'i64:' + BigInt.asUintN(64, value).toString(16);
    case 'f32': f32[0] = value; return value !== value ? 'f32:nan' : 'f32:' + f32bits[0].toString(16);
    case 'f64': f64[0] = value; return value !== value ? 'f64:nan' : 'f64:' + f64bits[0].toString(16);
    default: return value === null ? 'null' : 'ref';
  }
}

function argument(text) {
  const [type, bits] = text.split(':');
  switch (type) {
    case 'i32': return parseInt(bits, 16) | 0;
    case 'i64': return BigInt.asIntN(64, BigInt('0x' + bits));
    case 'f32': if (bits === 'nan') return NaN; f32bits[0] = parseInt(bits, 16); return f32[0];
    case 'f64': if (bits === 'nan') return NaN; f64bits[0] = BigInt('0x' + bits); return f64[0];
    default: return null;
  }
}

// The hash of exercise.cpp, in four parts of 16 bits: 64-bit products by big integers take too long.
function hash(bytes) {
  let a = 0x2325, b = 0x8422, c = 0x9ce4, d = 0xcbf2;  // 14695981039346656037, lowest first
  const multiply = () => {  // by 1099511628211 = 0x100000001b3
    const t0 = a * 0x1b3, t1 = b * 0x1b3, t2 = c * 0x1b3 + (a << 8), t3 = d * 0x1b3 + (b << 8);
    const n1 = t1 + (t0 >>> 16), n2 = t2 + Math.floor(n1 / 65536), n3 = t3 + Math.floor(n2 / 65536);
    a = t0 & 0xffff; b = n1 & 0xffff; c = n2 % 65536; d = n3 % 65536;
  };
  const shorts = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const words = bytes.length >> 3;
  for (let i = 0; i < words; ++i) {
    const k = i * 4;
    a ^= shorts[k]; b ^= shorts[k + 1]; c ^= shorts[k + 2]; d ^= shorts[k + 3];
    multiply();
    // h ^= h >> 29
    const s0 = (b >>> 13 | c << 3) & 0xffff, s1 = (c >>> 13 | d << 3) & 0xffff, s2 = d >>> 13;
    a ^= s0; b ^= s1; c ^= s2;
  }
  for (let i = words * 8; i < bytes.length; ++i) { a ^= bytes[i]; multiply(); }
  const text = [d, c, b, a].map((n) => n.toString(16).padStart(4, '0')).join('').replace(/^0+/, '');
  return text === '' ? '0' : text;
}

function run(folder) {
  const bytes = fs.readFileSync(folder + '/oracle.wasm');
  const out = ['ran'];
  let types, module;
  try {
    types = signatures(bytes);
    module = new WebAssembly.Module(bytes);
  } catch (e) {
    // What it is about, without numbers.
    return [String(e.message).replace(/^.*failed: /, '').replace(/ @\+\d+.*$/, '').replace(/#?\d+/g, 'N').slice(0, 70)];
  }
  const imports = {};
  for (const [from, name, type] of types.importNames) {
    if (!type.params.concat(type.results).every((t) => t !== 'v128')) return ['imports a function of vectors'];
    const zeros = type.results.map((t) => (t === 'i64' ? 0n : t === 'ref' ? null : 0));
    (imports[from] ||= {})[name] = (...args) => {
      out.push('import ' + name + args.map((arg, i) => ' ' + describe(type.params[i], arg)).join(''));
      return zeros.length > 1 ? zeros : zeros[0];
    };
  }
  const cut = () => out.concat('cut');
  let instance;
  const failed = (what, e) => {
    if (e instanceof WebAssembly.RuntimeError) {
      if (/stack|memory allocation|out of memory/.test(e.message)) return false;
      const kind = traps.find(([pattern]) => pattern.test(e.message));
      out.push(what + ': trap: ' + (kind ? kind[1] : e.message));
      return true;
    }
    if (typeof WebAssembly.Exception === 'function' && e instanceof WebAssembly.Exception) {
      out.push(what + ': exception');
      return true;
    }
    if (e instanceof RangeError && /call stack/.test(e.message)) return false;
    throw e;
  };
  const memories = () => {
    for (const [name, item] of Object.entries(instance.exports)) {
      if (item instanceof WebAssembly.Memory) memory(name, item);
    }
  };
  const memory = (name, item) => {
    const data = new Uint8Array(item.buffer);
    out.push('memory ' + name + ' ' + data.length.toString(16) + ' ' + hash(data));
  };
  try {
    instance = new WebAssembly.Instance(module, imports);
  } catch (e) {
    return failed('instantiate', e) ? out : cut();
  }
  for (const line of fs.readFileSync(folder + '/oracle.calls', 'utf8').split('\n')) {
    if (line === '') continue;
    const [name, ...args] = line.split(' ');
    try {
      const result = instance.exports[name](...args.map(argument));
      const results = types.exports.get(name).results;
      const values = results.length > 1 ? [...result] : results.length === 1 ? [result] : [];
      out.push(name + ':' + values.map((value, i) => ' ' + describe(results[i], value)).join(''));
    } catch (e) {
      if (!failed(name, e)) return cut();
      if (e instanceof WebAssembly.RuntimeError) memories();
    }
  }
  for (const [name, item] of Object.entries(instance.exports)) {
    if (item instanceof WebAssembly.Memory) memory(name, item);
    if (!(item instanceof WebAssembly.Global)) continue;
    const type = types.exports.get(name);
    if (type !== 'v128' && type !== 'ref') out.push('global ' + name + ' ' + describe(type, item.value));
  }
  return out;
}

process.stdout.write('ready\n');
let pending = '';
process.stdin.on('data', (data) => {
  pending += data;
  for (let end; (end = pending.indexOf('\n')) >= 0; pending = pending.slice(end + 1)) {
    const [number, folder] = pending.slice(0, end).split(' ');
    let lines;
    try {
      lines = run(folder);
    } catch (e) {
      lines = ['failed: ' + e.message];
    }
    const text = lines.join('\n') + '\n. ' + number + '\n';
    for (let done = 0; done < text.length; ) done += fs.writeSync(1, text.slice(done, done + 4096));
  }
});
