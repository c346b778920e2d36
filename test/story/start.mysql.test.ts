// `npm start` as it is met: a busy port, a second start, an end by force, databases of one's own.

import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { serverUrl } from '../databases.ts';
import { anyPorts, run, stackFolder, startStack } from './stack.ts';

const small = ['--reviews', '50'];

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Waits until a condition holds. */
async function until(holds: () => boolean | Promise<boolean>, msMax = 30_000): Promise<void> {
  for (
    const end = Date.now() + msMax;
    !(await holds());
    await new Promise((resolve) => setTimeout(resolve, 20))
  )
    if (Date.now() > end) throw new Error('it did not come true in time');
}

const childrenOf = (folder: string) => readdirSync(join(folder, 'run', 'children')).map(Number);

test('its one line says where everything is, a second start is refused, SIGTERM stops all of it', async () => {
  await using stack = await startStack(small);
  expect(stack).toMatchObject({
    ready: true,
    facade: expect.stringMatching(/^http:/),
    admin: expect.stringMatching(/^http:/),
    legacy: expect.stringMatching(/^http:/),
    services: { reviews: expect.stringMatching(/^http:/) },
    token: expect.stringMatching(/.{16}/),
    databases: {
      legacy: expect.stringMatching(/^mysql:/),
      services: expect.stringMatching(/^mysql:/),
      control: expect.stringMatching(/^mysql:/),
    },
  });
  expect((await fetch(new URL('/readyz', stack.admin))).status).toBe(200);
  expect((await fetch(new URL('/products', stack.facade))).status).toBe(200);
  const second = await run('up.ts', ['--json', '--folder', stack.folder, ...anyPorts]);
  expect(second).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/running already \(process \d+.*stop it first/),
  });
  const children = childrenOf(stack.folder);
  expect(children).toHaveLength(7);
  expect(await stack.stop()).toBe(0);
  expect(children.filter(isAlive)).toEqual([]);
}, 120_000);

test('after kill -9 the next start ends what was left, and finds the data as it was', async () => {
  const folder = stackFolder();
  const first = await startStack(small, folder);
  const backfill = await first.banyan('backfill', 'reviews', '--json');
  expect(JSON.parse(backfill.stdout)).toMatchObject({ ok: true });
  const left = childrenOf(folder);
  await first.stop('SIGKILL');
  expect(left.filter(isAlive)).toHaveLength(7);
  await using second = await startStack(small, folder);
  expect(left.filter(isAlive)).toEqual([]);
  const status = JSON.parse((await second.banyan('status', '--json')).stdout);
  expect(status.capabilities[0]).toMatchObject({
    phase: 'synced',
    backfilled: { facts: { rows: expect.any(Number) } },
  });
}, 90_000);

test('a part that is killed is started again, where it was', async () => {
  await using stack = await startStack(small);
  const before = childrenOf(stack.folder);
  for (const pid of before) {
    process.kill(pid, 'SIGKILL');
    await until(() => childrenOf(stack.folder).length === 7 && !childrenOf(stack.folder).includes(pid));
  }
  const answers = async (url: string) =>
    fetch(url).then(
      (response) => response.status === 200,
      () => false,
    );
  const list = new URL('/api/review/list.do?prdNo=1', stack.facade).href;
  await until(
    async () => (await answers(list)) && (await answers(new URL('/readyz', stack.services.reviews).href)),
  );
  expect(childrenOf(stack.folder).filter((pid) => before.includes(pid))).toEqual([]);
}, 90_000);

test('busy ports are all named before anything is started', async () => {
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  const address = busy.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const folder = stackFolder();
  const { code, stderr, stdout } = await run('up.ts', [
    '--folder',
    folder,
    ...anyPorts,
    '--port',
    String(port),
    '--legacy-port',
    String(port),
  ]);
  busy.close();
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(new RegExp(`port ${port} for the facade is not free.*--port`));
  expect(stderr).toMatch(new RegExp(`port ${port} for the monolith is not free.*--legacy-port`));
  expect(readdirSync(folder)).toEqual(['run']);
  rmSync(folder, { recursive: true });
});

test.each([
  ['a file to import that is not there', ['--import', '/no/such/file'], 1, /--import: there is no file/],
  ['an option that does not exist', ['--ports', '1'], 1, /no option --ports/],
  ['words', ['reviews'], 1, /takes options only/],
  ['a configuration that is not there', ['--config', 'nowhere.ts'], 1, /nowhere\.ts cannot be used/],
  [
    'a database server that does not answer',
    ['--legacy-url', 'mysql://root@127.0.0.1:1'],
    1,
    /127\.0\.0\.1:1 does not answer/,
  ],
])('%s is a clear error', async (_, words, code, message) => {
  const folder = stackFolder();
  const result = await run('up.ts', ['--folder', folder, ...anyPorts, ...words]);
  expect(result.stderr).toMatch(message);
  expect(result.stderr).not.toMatch(/at .*\.ts:\d+/);
  expect(result.code).toBe(code);
  rmSync(folder, { recursive: true });
});

test('existing servers instead of private ones, the password from a file', async () => {
  const folder = stackFolder();
  const urls = { legacy: serverUrl('legacy'), services: serverUrl('services') };
  const names = { legacy: ['shop'], services: ['reviews', 'wishlist'] } as const;
  const free = async () => {
    for (const server of ['legacy', 'services'] as const) {
      const sql = await createConnection(urls[server]);
      for (const name of [...names[server], 'banyan']) await sql.query(`DROP DATABASE IF EXISTS ${name}`);
      await sql.end();
    }
  };
  await free();
  const urlFile = join(folder, 'services-url');
  writeFileSync(urlFile, `${urls.services}\n`);
  process.env.BANYAN_SERVICES_URL_FILE = urlFile;
  try {
    await using stack = await startStack([...small, '--legacy-url', urls.legacy], folder);
    expect(childrenOf(folder)).toHaveLength(5);
    const sql = await createConnection(urls.legacy);
    const [[reviews]] = await sql.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM shop.TB_RVW_MST');
    await sql.end();
    expect(Number(reviews?.n)).toBe(50);
    expect((await fetch(new URL('/products', stack.facade))).status).toBe(200);
  } finally {
    delete process.env.BANYAN_SERVICES_URL_FILE;
    await free();
  }
}, 120_000);
