// `npm test`: starts two private servers, runs every suite against them, ends with `N passed, N failed`.
//   npm test -- acl            only the files whose path has "acl" in it
//   npm run test:full          the long suites instead
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startPrivateServer } from './private-server.ts';
import { claimRunFolder, sweepRunFolders } from './run-folder.ts';

const root = join(import.meta.dirname, '..');
const runs = join(root, 'var', 'test');
await sweepRunFolders(runs);
const runFolder = await claimRunFolder(join(runs, String(process.pid)));
const started = await Promise.all(
  ['legacy', 'services'].map((name, index) =>
    startPrivateServer({ folder: join(runFolder.path, name), runFolder, serverId: index + 1 }),
  ),
);
const [legacy, services] = started;

const words = process.argv.slice(2);
const isFull = words.includes('--full');
const results = join(runFolder.path, 'results.json');
const vitest = spawn(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...(isFull ? ['--project', 'full'] : ['--project', 'unit', '--project', 'mysql']),
    ...words.filter((word) => word !== '--full'),
  ],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      BANYAN_TEST_LEGACY_SERVER: legacy?.url,
      BANYAN_TEST_SERVICES_SERVER: services?.url,
      BANYAN_TEST_FOLDER: runFolder.path,
      MONOLITH_TEST_SERVER: legacy?.url,
      REVIEWS_TEST_SERVER: services?.url,
    },
  },
);
if (vitest.pid) runFolder.remember(vitest.pid);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => vitest.kill(signal));
const [code] = await once(vitest, 'exit');

type Results = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numFailedTestSuites: number;
};
let summary: Results | undefined;
try {
  summary = JSON.parse(readFileSync(results, 'utf8'));
} catch {
  // vitest ended before it wrote its results: its own output says why
}
await Promise.all(started.map((server) => server.stop()));
rmSync(runFolder.path, { recursive: true, force: true });

// A suite that could not even be loaded has no tests of its own, and is a failure all the same.
const failed = summary
  ? summary.numFailedTests || (code === 0 ? 0 : Math.max(1, summary.numFailedTestSuites))
  : 1;
const skipped = summary?.numPendingTests ?? 0;
const skipIsFailure = process.env.CI === 'true' && skipped > 0;
if (skipIsFailure)
  console.log(`${skipped} tests were skipped, and with CI=true a skipped test is a failed one`);
console.log(`${summary?.numPassedTests ?? 0} passed, ${failed + (skipIsFailure ? skipped : 0)} failed`);
process.exitCode = failed > 0 || skipIsFailure ? 1 : 0;
