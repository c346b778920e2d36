// `npm test`: starts two private servers, runs every suite against them, ends with `N passed, N failed`.
//   npm test -- acl            only the files whose path has "acl" in it
//   npm run test:full          the long suites instead
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startPrivateServer } from './private-server.ts';
import { claimRunFolder, sweepRunFolders } from './run-folder.ts';
import type { TestResults } from './test-results.ts';

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
const vitest = spawn(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    `--reporter=${join(root, 'scripts', 'test-results.ts')}`,
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

let summary: TestResults | undefined;
try {
  summary = JSON.parse(readFileSync(join(runFolder.path, 'results.json'), 'utf8'));
} catch {
  // vitest ended before it wrote its results: its own output says why
}
await Promise.all(started.map((server) => server.stop()));
rmSync(runFolder.path, { recursive: true, force: true });

// Last, where whoever reads only the end of a long log finds them; and into a file, for CI to say after all suites.
const failures = (summary?.failures ?? []).map(
  ({ where, errors }) => `FAILED ${where}\n${errors.join('\n').replace(/^/gm, '  ')}`,
);
if (!summary || (code !== 0 && failures.length === 0))
  failures.push(`FAILED vitest: it ended with ${code ?? 'a signal'} and named no failure`);
const skipped = summary?.skipped ?? 0;
const skipIsFailure = process.env.CI === 'true' && skipped > 0;
if (skipIsFailure)
  failures.push(`FAILED ${skipped} tests: skipped, and with CI=true a skipped test is a failed one`);
const failed = failures.length + (skipIsFailure ? skipped - 1 : 0);
for (const failure of failures) console.log(failure);
if (process.env.BANYAN_TEST_FAILURES)
  appendFileSync(process.env.BANYAN_TEST_FAILURES, failures.map((failure) => `${failure}\n`).join(''));
console.log(`${summary?.passed ?? 0} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
