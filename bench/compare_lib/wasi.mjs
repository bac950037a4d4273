// Runs a WASI image in Node or Bun with the options the other engines' commands have:
//   wasi.mjs [--dir HOST[::GUEST]] [--preload NAME=IMAGE] [--env NAME=VALUE] IMAGE [args...]
import fs from 'node:fs';
import process from 'node:process';
import {WASI} from 'node:wasi';

const args = process.argv.slice(2);
const preopens = {}, env = {}, preloads = [];
while (args[0]?.startsWith('--')) {
  const option = args.shift(), value = args.shift();
  const [left, right] = value.split(option === '--dir' ? '::' : /=(.*)/s);
  if (option === '--dir') preopens[right ?? left] = left;
  if (option === '--env') env[left] = right;
  if (option === '--preload') preloads.push([left, right]);
}

const given = {};
function start(image, run) {
  const wasi = new WASI({version: 'preview1', args, env, preopens, returnOnExit: true});
  const module = new WebAssembly.Module(fs.readFileSync(image));
  const calls = {...wasi.wasiImport};
  for (const {module: from, name} of WebAssembly.Module.imports(module)) {
    if (from.startsWith('wasi_')) calls[name] ??= () => 52;  // "not supported", for what this engine's WASI lacks
  }
  const instance = new WebAssembly.Instance(module, {...given, wasi_snapshot_preview1: calls, wasi_unstable: calls});
  return [instance, run(wasi, instance)];
}

for (const [name, image] of preloads) {
  const [instance] = start(image, (wasi, it) => {
    if (wasi.initialize) return wasi.initialize(it);
    wasi.setMemory(it.exports.memory);  // Bun's, which knows programs only
    return it.exports._initialize?.();
  });
  given[name] = instance.exports;
}
const [, status] = start(args[0], (wasi, it) => wasi.start(it));
process.exitCode = status ?? 0;
