// Async functions that wait for a timer, and what they cost: lines `name value`, as many_guests prints them.
const fs = require('fs');

function usage() {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  const bytes = (name) => 1024 * Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]);
  return {
    resident: bytes('VmRSS'),
    page_tables: bytes('VmPTE'),
    mappings: fs.readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1,
  };
}

function processor() {
  const {user, system} = process.cpuUsage();
  return user + system;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function sleeper() {
  await sleep(86400000);
}

async function main() {
  const count = Number(process.argv[2]);
  const before = usage();
  const begin = processor();
  const all = [];
  for (let i = 0; i < count; ++i) all.push(sleeper());
  await sleep(1000);
  const spent = processor() - begin;
  const now = usage();
  console.log('guests', count);
  console.log('start_ns', Math.round(1000 * spent / count));
  for (const what of Object.keys(now)) console.log(what, now[what] - before[what]);
  process.exit(0);
}

main();
