// What everybody may read: log lines, metrics, spans. Secrets and personal data are sent in every place that there is, through facade,
// service and worker, well and badly, and none of it is found anywhere. And each metric is one that docs/metrics.md knows.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import config from '../../banyan.config.ts';
import { speak } from '../../facade/test-servers.ts';
import { type RunningStack, startStack } from '../story/stack.ts';
import { until } from '../sync/until.ts';
import { type Collector, startCollector } from './collector.ts';
import { faultsOf } from './documented.ts';

let collector: Collector;
let stack: RunningStack;
beforeAll(async () => {
  collector = await startCollector();
  stack = await startStack(['--reviews', '100'], undefined, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url,
    BANYAN_TRACE_RATIO: '1',
    BANYAN_LOG_LEVEL: 'trace',
    REVIEWS_LOG_LEVEL: 'trace',
    WISHLIST_LOG_LEVEL: 'trace',
    LEGACY_LOG_LEVEL: 'trace',
  });
  await banyan('backfill', 'reviews');
  await banyan('verify', 'reviews');
  await banyan('shift', 'reviews', '--reads', '100');
}, 120_000);
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  await collector?.[Symbol.asyncDispose]();
});

async function banyan(...words: string[]): Promise<void> {
  const { code, stderr } = await stack.banyan(...words);
  expect({ words, code, stderr: code === 0 ? '' : stderr }).toEqual({ words, code: 0, stderr: '' });
}

/** Each says where it was put; all begin alike. */
const mark = `kim${randomBytes(4).toString('hex')}`;
const secret = (place: string) => `${mark}${place}`;

const headers = {
  authorization: `Bearer ${secret('auth')}`,
  cookie: `SHOPSESSION=${secret('session')}; other=${secret('cookie')}; banyan_id=${secret('id')}`,
  'banyan-identity': secret('identity'),
  'x-request-id': secret('request'),
  'x-forwarded-for': secret('address'),
  'user-agent': secret('agent'),
  referer: `http://shop/?q=${secret('referer')}`,
  tracestate: `congo=${secret('state')}`,
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-${secret('parent')}`,
};
const form = (fields: Record<string, string>) => ({
  method: 'POST',
  body: new URLSearchParams(fields),
  headers,
});
const ask = async (url: string, init: RequestInit = {}) => {
  const response = await fetch(url, { headers, ...init }).catch(() => undefined);
  await response?.text();
};

const paths = [
  `/api/review/list.do?prdNo=1&q=${secret('query')}`,
  `/api/review/list.do?prdNo=${secret('number')}`,
  `/api/review/summary.do?prdNo=1&mbrId=${secret('member')}`,
  `/api/review/view.do?rvwSeq=1&q=${secret('view')}`,
  `/products/${secret('product')}`,
  `/${secret('path')}/%zz`,
  `/${secret('path')}?q=${secret('plain')}`,
];
const bad = [
  `GET /${secret('bytes')} HTTP/9.9\r\n\r\n`,
  `${secret('noise')}\r\n\r\n`,
  `GET /?q=${secret('raw')} HTTP/1.1\r\nHost: x\r\nBad Header ${secret('header')}: 1\r\n\r\n`,
  `POST /api/review/write.do HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nCookie: ${secret('framing')}\r\n\r\n0\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${secret('long')}${'x'.repeat(20_000)}\r\n\r\n`,
];
const portOf = (url: string) => Number(new URL(url).port);

async function everything(): Promise<void> {
  // Somebody else each time, who has written nothing yet.
  headers.authorization += '.';
  const { facade, services, legacy } = stack;
  for (const path of paths) await ask(facade + path);
  await ask(`${facade}/api/member/login.do`, form({ mbrId: secret('login'), mbrPw: secret('password') }));
  await ask(`${facade}/api/review/write.do`, form({ prdNo: '1', starPnt: '05', rvwCtnt: secret('text') }));
  for (const service of Object.values(services)) {
    await ask(`${service}/reviews/${secret('direct')}`);
    await ask(`${service}/reviews/%zz${secret('broken')}`);
    const json = { ...headers, 'content-type': 'application/json' };
    await ask(`${service}/reviews`, { method: 'POST', headers: json, body: `{"body": ${secret('json')}` });
    await ask(`${service}/reviews`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ productId: 1, rating: 5, body: secret('body'), channel: 'web' }),
    });
  }
  for (const bytes of bad)
    for (const url of [facade, legacy, ...Object.values(services), stack.admin, stack.worker])
      await speak(portOf(url), bytes).catch(() => undefined); // a part that is gone
  await ask(`${stack.admin}/api/status?token=${secret('admin')}`);
  await ask(`${stack.worker}/api/${secret('worker')}`);
}

const onDatabase = async (side: 'legacy' | 'services', ...statements: string[]) => {
  const sql = await createConnection({ uri: stack.databases[side] });
  for (const statement of statements) await sql.query(statement);
  await sql.end();
};
const rowsOf = async (side: 'legacy' | 'services', statement: string) => {
  const sql = await createConnection({ uri: stack.databases[side] });
  const [rows] = await sql.query<RowDataPacket[]>(statement);
  await sql.end();
  return rows;
};
const logOf = (name: string) => readFileSync(join(stack.folder, 'run', `${name}.log`), 'utf8');
const streams = async () => {
  const answer = await fetch(new URL('/api/status', stack.worker));
  return answer.text();
};
const kill = (name: string) => {
  const pid = stack.pidOf(name);
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  return pid;
};
const restarted = (name: string, before: number | undefined) =>
  until(`${name} runs again`, () => {
    const pid = stack.pidOf(name);
    return pid !== undefined && pid !== before;
  });
const metricsOf = async (url: string, token?: string) => {
  const answer = await fetch(new URL('/metrics', url), {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  expect(answer.status).toBe(200);
  return answer.text();
};

test('requests of every kind, while all is well and while parts are gone', async () => {
  await everything();
  // What a part has not sent yet dies with it.
  await until('spans of facade and service', () =>
    ['banyan-facade', 'reviews'].every((name) => collector.spans.some(({ service }) => service === name)),
  );
  for (const part of ['reviews', 'monolith']) {
    const pid = kill(part);
    await everything();
    await restarted(part, pid);
  }
}, 120_000);

test('rows that nobody translates, and rows that the target refuses', async () => {
  await onDatabase(
    'legacy',
    `UPDATE TB_RVW_MST SET RVW_CTNT = '${secret('odd')}', CHNL_CD = '77' ORDER BY RVW_SEQ LIMIT 1`,
  );
  await until('it is in quarantine', async () => /"quarantined":1/.test(await streams()));
  // A key that the target has and the source has not.
  await onDatabase('services', 'ALTER TABLE review ADD UNIQUE KEY uq_body (body(60))');
  const pid = kill('worker');
  await restarted('worker', pid);
  await onDatabase(
    'legacy',
    `UPDATE TB_RVW_MST SET RVW_CTNT = '${secret('twice')}' ORDER BY RVW_SEQ DESC LIMIT 2`,
  );
  const said = await until('the stream stops', async () => {
    const text = await streams();
    return /"state":"stopped"/.test(text) && text;
  });
  expect(said).toMatch(/Duplicate entry … for key 'uq_body'/);
  expect(said).not.toContain(mark);
  await onDatabase('services', 'ALTER TABLE review DROP KEY uq_body');
}, 90_000);

/** A trigger that repeats what is in the row. */
const telling = (
  table: string,
  column: string,
) => `CREATE TRIGGER telling BEFORE UPDATE ON ${table} FOR EACH ROW BEGIN
  SET @said = CONCAT('not ', NEW.${column}, ', ', QUOTE(NEW.${column})); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @said; END`;

test('errors of a database that repeat what is in its rows, in service and monolith', async () => {
  await onDatabase('legacy', telling('TB_RVW_MST', 'RVW_CTNT'));
  await onDatabase(
    'services',
    `UPDATE review SET body = '${secret('row')}' ORDER BY id DESC LIMIT 2`,
    telling('review', 'body'),
  );
  const [last] = await rowsOf('legacy', 'SELECT MAX(RVW_SEQ) AS id FROM TB_RVW_MST');
  await ask(`${stack.legacy}/api/review/view.do?rvwSeq=${last?.id}`);
  await ask(`${stack.services.reviews}/reviews/${last?.id}/views`, { method: 'POST' });
  for (const name of ['monolith', 'reviews'])
    await until(`${name} says it`, () => logOf(name).includes('refused by a trigger'));
  await onDatabase('legacy', 'DROP TRIGGER telling');
  await onDatabase('services', 'DROP TRIGGER telling');
}, 120_000);

test('what the facade prints at /metrics is what docs/metrics.md says', async () => {
  expect(faultsOf(await metricsOf(stack.admin, stack.token), 'banyan_facade_', config)).toEqual([]);
});

test('what the worker prints at /metrics is what docs/metrics.md says', async () => {
  expect(faultsOf(await metricsOf(stack.worker), 'banyan_worker_', config)).toEqual([]);
});

test('and none of it is in a log line, a metric or a span', async () => {
  const folder = join(stack.folder, 'run');
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  expect(logs).toEqual(
    expect.arrayContaining(['facade.log', 'monolith.log', 'reviews.log', 'wishlist.log', 'worker.log']),
  );
  const found: string[] = [];
  let lines = 0;
  for (const name of logs)
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      lines += 1;
      // Bytes are told as numbers.
      if (line.includes(mark) || line.includes([...Buffer.from(mark)].join())) found.push(`${name}: ${line}`);
      if (/mysql:\/\/[^ "]*:[^ "]*@/.test(line)) found.push(`${name}: ${line}`);
    }
  expect(found).toEqual([]);
  expect(lines).toBeGreaterThan(50);
  const { services } = stack;
  const metrics = await Promise.all([
    metricsOf(stack.admin, stack.token),
    ...[stack.worker, ...Object.values(services)].map((url) => metricsOf(url)),
  ]);
  for (const text of metrics) expect(text).not.toContain(mark);
  for (const body of collector.bodies) expect(body).not.toContain(mark);
  expect(await streams()).not.toContain(mark);
}, 120_000);

test('a line about a request has its trace and its id', async () => {
  const lines = logOf('facade').split('\n');
  const about = ['a request could not be forwarded', 'the service could not answer a read'].map((said) =>
    lines.find((line) => line.includes(said)),
  );
  for (const line of about)
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      requestId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
});
