// Async functions that each wait a millisecond again and again. Usage: waits.js TASKS WAITS
const [tasks, waits] = process.argv.slice(2).map(Number);

const millisecond = () => new Promise((done) => setTimeout(done, 1));

async function task() {
  for (let i = 0; i < waits; ++i) await millisecond();
}

Promise.all(Array.from({length: tasks}, task));
