// Opens a trace with the engine of Chromium's performance panel, and prints for each thread its name, and for each function
// how often it begins and its own time in microseconds:  node read_trace.mjs ENGINE_FOLDER FILE
import fs from 'node:fs';
import process from 'node:process';
import {pathToFileURL} from 'node:url';

const [folder, file] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${folder}/${path}`).href);
const Trace = await load('models/trace/trace.js');
globalThis.DOMRect ??= class {};  // of browsers; no trace of ours has rectangles

const wrong = [];
for (const kind of ['error', 'warn', 'assert']) console[kind] = (...all) => wrong.push(all.join(' '));
const model = Trace.TraceModel.Model.createWithAllHandlers();
await model.parse(JSON.parse(fs.readFileSync(file, 'utf8')).traceEvents, {});
const {data} = model.parsedTrace();
const threads = Trace.Handlers.Threads.threadsInTrace(data).map((thread) => {
  const functions = {};
  for (const entry of thread.entries) {
    const f = (functions[entry.name] ??= {calls: 0, self: 0});
    f.calls += 1;
    f.self += thread.entryToNode.get(entry).selfTime;
  }
  return {name: thread.name, functions};
});
process.stdout.write(JSON.stringify({threads, processes: [...data.Meta.processNames.values()].map((e) => e.args.name), wrong}));
