import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Declaration, describeOptions, OptionsError, parseOptions } from './options.ts';

const declaration = {
  port: { type: 'port', default: 8080, env: 'X_PORT', help: 'Where.' },
  url: { type: 'url', env: 'X_URL', secret: true, help: 'What.' },
  bytesMax: { type: 'integer', min: 1, max: 10, help: 'How much.' },
  upstream: { type: 'list', env: 'X_UPSTREAM', help: 'Which.' },
  json: { type: 'flag', help: 'How.' },
} as const satisfies Declaration;

const faultsOf = (argv: string[], env: NodeJS.ProcessEnv = {}) => {
  try {
    parseOptions(declaration, argv, env);
  } catch (error) {
    if (error instanceof OptionsError) return error.faults;
    throw error;
  }
  return [];
};

test('the command line goes before the environment, the environment before the default', () => {
  expect(parseOptions(declaration, [], {}).values).toEqual({
    port: 8080,
    url: undefined,
    bytesMax: undefined,
    upstream: [],
    json: false,
  });
  expect(parseOptions(declaration, [], { X_PORT: '1' }).values.port).toBe(1);
  const given = parseOptions(
    declaration,
    ['--port', '2', 'word', '--upstream=a,b', '--json', '--bytes-max', '3'],
    { X_PORT: '1' },
  );
  expect(given).toEqual({
    values: { port: 2, url: undefined, bytesMax: 3, upstream: ['a', 'b'], json: true },
    words: ['word'],
  });
});

test('a secret may come from a file, and is never repeated in an error', () => {
  const folder = mkdtempSync(join(tmpdir(), 'options-'));
  writeFileSync(join(folder, 'url'), 'mysql://u:hunter2@h/\n');
  writeFileSync(join(folder, 'bad'), 'hunter2');
  expect(parseOptions(declaration, [], { X_URL_FILE: join(folder, 'url') }).values.url).toBe(
    'mysql://u:hunter2@h/',
  );
  expect(faultsOf([], { X_URL_FILE: join(folder, 'bad') }).join()).toMatch(/not a URL/);
  expect(faultsOf([], { X_URL_FILE: join(folder, 'bad') }).join()).not.toMatch(/hunter2/);
  expect(faultsOf([], { X_URL_FILE: join(folder, 'none') }).join()).toMatch(/cannot be read/);
  expect(faultsOf([], { X_URL: 'mysql://h', X_URL_FILE: 'x' }).join()).toMatch(/both set/);
  rmSync(folder, { recursive: true });
});

test('every fault is said at once', () => {
  expect(
    faultsOf(['--port', '70000', '--bytes-max', '0', '--nonsense', '--upstream'], { X_URL: 'nothing' }),
  ).toEqual([
    'there is no option --nonsense',
    '--upstream needs a value',
    '--port is 70000: it must be 0 to 65535',
    'X_URL is not a URL',
    '--bytes-max is 0: it must be 1 to 10',
  ]);
  expect(faultsOf(['--port', 'x']).join()).toMatch(/whole number/);
});

test('help lists every option with its default and its environment variable', () => {
  expect(describeOptions(declaration)).toContain('--port PORT\n      Where. (default 8080) [X_PORT]');
  expect(describeOptions(declaration)).toContain('[X_URL or X_URL_FILE]');
});
