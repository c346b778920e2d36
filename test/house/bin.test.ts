// `npx banyan`, as README has it, in a clone.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

test('the command can be run as it stands, without a word before it', () => {
  const { bin }: { bin: { banyan: string } } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(execFileSync(join(root, bin.banyan), ['--help'], { encoding: 'utf8' })).toContain('banyan COMMAND');
});
