// `npm run check`: format and lint, types, unit tests (the import picture among them). Needs no server.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const steps = [
  ['format and lint', join(root, 'node_modules', '.bin', 'biome'), ['ci', '.']],
  ['types', join(root, 'node_modules', '.bin', 'tsc'), []],
  [
    'unit tests',
    process.execPath,
    [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'unit'],
  ],
] as const;

const failed = steps.filter(([name, command, words]) => {
  console.log(`check: ${name}`);
  return spawnSync(command, words, { cwd: root, stdio: 'inherit' }).status !== 0;
});
console.log(
  failed.length === 0 ? 'check: all is well' : `check: failed: ${failed.map(([name]) => name).join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
