#!/usr/bin/env node
// The `banyan` command: finds the Node 24 that the project carries, and hands over to banyan.ts; the facade
// is a process with options of its own.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const scripts = dirname(fileURLToPath(import.meta.url));
const packaged = join(scripts, '..', 'node_modules', '.bin', 'node');
const current = Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : undefined;
const node = existsSync(packaged) ? packaged : current;
if (!node) {
  process.stderr.write('banyan: nothing is installed yet. "npm start" (or "npm ci") does it.\n');
  process.exit(1);
}
const words = process.argv.slice(2);
const main =
  words[0] === 'facade'
    ? [join(scripts, '..', 'facade', 'server.ts'), ...words.slice(1)]
    : [join(scripts, 'banyan.ts'), ...words];
// For these V8 is asked to spend time rather than memory on garbage (as facadeFlags and workerFlags of supervise.ts).
if (words[0] === 'facade' || words[0] === 'worker') main.unshift('--max-semi-space-size=16');
if (words[0] === 'worker') main.unshift('--max-old-space-size=128');
const child = spawn(node, main, {
  stdio: 'inherit',
  // A command starts in less than half the time (https://nodejs.org/api/module.html#module-compile-cache).
  env: { NODE_COMPILE_CACHE: join(scripts, '..', 'node_modules', '.cache', 'compiled'), ...process.env },
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
