// The whole of it in one go, as it is shown to somebody: `npm start -- --story`. It takes about two minutes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, stackFolder } from './stack.ts';

test('reviews walk from legacy to their service under traffic, the service dies on the way, and all goes well', async () => {
  const folder = stackFolder();
  const { code, stdout, stderr } = await run(
    'up.ts',
    ['--story', '--folder', folder, '--reviews', '500'],
    {},
    280_000,
  );
  const report = readFileSync(join(folder, 'story', 'report.md'), 'utf8');
  console.log(report.split('\n## What each gate saw')[0]);
  expect({ code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, stderr: '' });
  expect(report).toContain('All went well.');
  expect(stdout).toContain(report);
  // A ramp that was broken off, one that was not, and three changes of owner.
  for (const gate of ['100 % parity', '100 % latency', 'doctor', 'facades', 'enforced'])
    expect(report).toContain(`| ${gate} | pass |`);
  expect(report.match(/\| done \||owns at epoch/g)?.length).toBeGreaterThan(2);
}, 300_000);
