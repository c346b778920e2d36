// Verified while applications write and the worker dies: nothing is found that is not there, and what is there is
// found once. Keys touched lately are verified all the time.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDdl, loadTables, startLoad } from '../sync/load.ts';
import { type Pair, type Side, startPair, things } from '../sync/pair.ts';
import { suiteSeed } from '../sync/seed.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { verified } from './verified.ts';

const random = suiteSeed('verify live');
const rows = 60_000;
let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: [...loadTables, 'big', 'bulk'],
    ddl: `${loadDdl} CREATE TABLE big (id INT PRIMARY KEY, n INT NOT NULL, t VARCHAR(40) CHARACTER SET euckr NOT NULL);
      CREATE TABLE bulk (id INT PRIMARY KEY, n INT NOT NULL);`,
    workerWords: ['--nice-ratio', '6'],
  });
  worker = await pair.startWorker();
  // Rows that both sides have, and no binlog.
  for (const side of ['legacy', 'service'] as const)
    await run(
      side,
      `INSERT INTO big SELECT seq, seq % 7, CONCAT('가나다 ', seq) FROM seq_1_to_${rows}`,
      false,
    );
}, 120_000);
afterAll(() => pair?.[Symbol.asyncDispose]());

async function run(side: Side, statement: string, logged = true): Promise<void> {
  const sql = await pair.connect(side);
  try {
    if (!logged) await sql.query('SET sql_log_bin = 0');
    await sql.query(statement);
  } finally {
    sql.destroy();
  }
}

/** Looks at most once in so many milliseconds. */
function memoised<T>(ms: number, look: () => Promise<T>): () => Promise<T> {
  let at = Number.NEGATIVE_INFINITY;
  let seen: Promise<T>;
  return () => {
    if (performance.now() - at > ms) {
      at = performance.now();
      seen = look();
    }
    return seen;
  };
}

const progress = async () => {
  const [row] = await pair.service.query(
    "SELECT state, rows_done, progress FROM banyan.banyan_verify WHERE table_name = 'big'",
  );
  return { state: String(row?.state), rows: Number(row?.rows_done ?? 0), text: String(row?.progress) };
};

const provenUpTo = async (from: Side) => {
  const [row] = await pair.service.query(
    'SELECT position FROM banyan.banyan_proven_up_to WHERE capability = ? AND source = ?',
    [things, from],
  );
  return String(row?.position);
};

const stream = async (from: Side = 'legacy') => {
  const streams: unknown = await (await fetch(`${worker.url}/api/status`)).json();
  const all = (
    streams as {
      streams: {
        source: string;
        state: string;
        unproven: number;
        mismatched: number;
        lagMs: number | null;
      }[];
    }
  ).streams;
  return all.find(({ source }) => source === from);
};

test('under writers, there and back: no difference is found that is not one', {
  timeout: 120_000,
}, async () => {
  let writing: Side = 'legacy';
  // Of a stream that falls further and further behind nothing can be verified.
  const keepsUp = memoised(100, async () => ((await stream(writing))?.lagMs ?? 0) < 1_000);
  const load = startLoad(pair, random, 3, () => until('the stream to keep up', keepsUp, { msMax: 60_000 }));
  for (const owner of ['legacy', 'service', 'legacy'] as const) {
    if ((await pair.owner('legacy')).owner !== owner) {
      await load.pause();
      await pair.turn(owner);
      await pair.aligned();
      writing = owner;
      load.resume(owner);
    }
    await load.more(20);
    const result = await verified(pair, things);
    expect(result, JSON.stringify(result.tables) + pair.logs()).toMatchObject({
      missing: 0,
      extra: 0,
      different: 0,
      roundTrip: 0,
    });
    expect(result.tables.every((table) => table.owner === owner && table.error === null)).toBe(true);
  }
  await load.stop();
  await pair.aligned();
  expect(await verified(pair, things)).toMatchObject({ ok: true, evidence: 'recorded' });
  expect(await pair.compare()).toEqual([]);
});

test('a worker that is killed meanwhile: the next goes on from there, and finds each fault once', {
  timeout: 120_000,
}, async () => {
  // Of the first rows, of the last, and between.
  const faults = [3, 9_999, 30_000, rows - 1];
  await run('service', `UPDATE big SET t = CONCAT(t, ' ') WHERE id IN (${faults.join()})`, false);
  await run('service', `DELETE FROM big WHERE id IN (${faults.map((id) => id + 1).join()})`, false);
  let isWriting = true;
  const chance = random.fork('writer');
  const writing = (async () => {
    const sql = await pair.connect('legacy');
    while (isWriting) {
      await sql.query(`UPDATE big SET n = n + 1 WHERE id = ${40_000 + chance.below(10_000)}`);
      await sql.query('DO SLEEP(0.005)');
    }
    sql.destroy();
  })();
  const verifying = verified(pair, things, '--table', 'big');
  let kills = 0;
  for (let last = 0; kills < 2; kills++) {
    const at = await until('some way', async () => {
      const { rows: done, state } = await progress();
      return (state === 'running' && done > last) || state === 'complete' ? { done, state } : undefined;
    });
    if (at.state === 'complete') break;
    last = at.done;
    await worker.kill();
    expect((await progress()).rows).toBeGreaterThanOrEqual(at.done);
    worker = await pair.startWorker();
  }
  const result = await verifying;
  isWriting = false;
  await writing;
  expect(result, JSON.stringify(result)).toMatchObject({
    rows,
    missing: faults.length,
    different: faults.length,
    extra: 0,
  });
  const keys = (kind: string) =>
    result.tables[0]?.examples.filter((each) => each.class === kind).map(({ key }) => Number(key.id));
  expect(keys('different')).toEqual(faults);
  expect(keys('missing')).toEqual(faults.map((id) => id + 1));
  expect(await verified(pair, things, '--repair', '--execute')).toMatchObject({ ok: true, repaired: 8 });
  expect(await pair.compare(['big'])).toEqual([]);
});

test('keys touched lately are verified by themselves; what is wrong there is recorded until it is mended', {
  timeout: 90_000,
}, async () => {
  await until('all proven', async () => (await stream())?.unproven === 0);
  await run(
    'service',
    'CREATE TRIGGER spoil BEFORE UPDATE ON bulk FOR EACH ROW SET NEW.n = NEW.n + 1',
    false,
  );
  await run('legacy', 'INSERT INTO bulk VALUES (1, 1), (2, 2), (3, 3)');
  await until('proven', async () => (await stream())?.unproven === 0);
  expect((await stream())?.mismatched).toBe(0);
  await run('legacy', 'UPDATE bulk SET n = 20 WHERE id = 2');
  await until('the mismatch', async () => (await stream())?.mismatched === 1, {
    explain: async () => pair.logs(),
  });
  const [recorded] = await pair.service.query('SELECT * FROM banyan.banyan_mismatch');
  expect(recorded).toMatchObject({
    capability: things,
    source: 'legacy',
    table_name: 'bulk',
    class: 'different',
    columns: 'n',
    source_key: '{"id":2}',
  });
  const metrics = await (await fetch(`${worker.url}/metrics`)).text();
  expect(metrics).toMatch(/banyan_worker_mismatched_keys\{capability="things",source="legacy"\} 1/);
  const status = await pair.banyan('status');
  expect(status.stdout).toMatch(/1 keys ARE NOT THE SAME[\s\S]*different bulk \{"id":2\}: n/);
  await run('service', 'DROP TRIGGER spoil', false);
  expect(await verified(pair, things, '--repair', '--execute')).toMatchObject({ ok: true, repaired: 1 });
  await until('the mismatch is gone', async () => (await stream())?.mismatched === 0);
  expect(await pair.service.query('SELECT * FROM banyan.banyan_mismatch')).toEqual([]);
});

test('what a killed worker had applied and not looked at, the next one looks at', async () => {
  await run(
    'service',
    'CREATE TRIGGER spoil BEFORE INSERT ON bulk FOR EACH ROW SET NEW.n = IF(NEW.id = 12, NEW.n + 1, NEW.n)',
    false,
  );
  const sql = await pair.connect('legacy');
  // Nobody can look at them.
  await sql.query('LOCK TABLES bulk WRITE');
  await sql.query('INSERT INTO bulk VALUES (11, 1), (12, 2), (13, 3)');
  await pair.aligned('legacy');
  expect((await stream())?.unproven).toBe(3);
  await worker.kill();
  await run('service', 'DROP TRIGGER spoil', false);
  await sql.query('UNLOCK TABLES');
  sql.destroy();
  worker = await pair.startWorker();
  await until('the mismatch', async () => (await stream())?.mismatched === 1, {
    explain: async () => pair.logs(),
  });
  expect(await pair.service.query('SELECT source_key FROM banyan.banyan_mismatch')).toEqual([
    { source_key: '{"id":12}' },
  ]);
  await until('the others are proven', async () => (await stream())?.unproven === 0);
  expect(await verified(pair, things, '--repair', '--execute')).toMatchObject({ ok: true, repaired: 1 });
});

test('the first rows of a new owner are looked at, however long their commit takes', {
  timeout: 120_000,
}, async () => {
  await run(
    'legacy',
    'CREATE TRIGGER spoil BEFORE INSERT ON bulk FOR EACH ROW SET NEW.n = IF(NEW.id = 22, NEW.n + 1, NEW.n)',
    false,
  );
  const unproven = async () => (await stream('service'))?.unproven ?? 0;
  // By writers before.
  const skipped = await unproven();
  const sql = await pair.connect('legacy');
  await sql.query('LOCK TABLES bulk WRITE');
  await pair.turn('service');
  await run('service', 'INSERT INTO bulk VALUES (21, 1), (22, 2)');
  // The stream has read them, and cannot commit them: it still stands where it only watched.
  await until('they have passed', async () => (await unproven()) === skipped + 2, {
    explain: async () => JSON.stringify(await stream('service')) + pair.logs(),
  });
  const before = await provenUpTo('legacy');
  await until('a second has gone by', async () => (await provenUpTo('legacy')) !== before);
  expect(await unproven()).toBe(skipped + 2);
  await sql.query('UNLOCK TABLES');
  sql.destroy();
  await until('the mismatch', async () => (await stream('service'))?.mismatched === 1, {
    explain: async () => pair.logs(),
  });
  await run('legacy', 'DROP TRIGGER spoil', false);
  expect(await verified(pair, things, '--repair', '--execute')).toMatchObject({ ok: true, repaired: 1 });
  await pair.turn('legacy');
});

test('what a killed worker had not looked at is not looked at when the owner has changed meanwhile', {
  timeout: 120_000,
}, async () => {
  await pair.turn('service');
  const sql = await pair.connect('service');
  // Nobody can look at it.
  await sql.query('LOCK TABLES bulk WRITE');
  await sql.query('INSERT INTO bulk VALUES (31, 1)');
  await pair.aligned('service');
  expect((await stream('service'))?.unproven).toBeGreaterThan(0);
  await worker.kill();
  await sql.query('UNLOCK TABLES');
  sql.destroy();
  const before = await provenUpTo('service');
  // The stream itself begins further on.
  const { sprung, release } = pair.service.relay.holdAtPart(`_state = '${before.split('@')[0]}'`);
  worker = await pair.startWorker();
  await sprung;
  await pair.turn('legacy');
  await until('who watches', async () => (await stream('service'))?.state === 'watch');
  release();
  await until('all has been read again', async () => (await provenUpTo('service')) !== before, {
    explain: async () => JSON.stringify(await stream('service')) + pair.logs(),
  });
  expect((await stream('service'))?.unproven).toBe(0);
});

test('what is too much to look at is counted, until a verification proves it', {
  timeout: 120_000,
}, async () => {
  await run('legacy', 'INSERT INTO bulk SELECT seq, seq FROM seq_1001_to_41000');
  await pair.aligned('legacy');
  const left = await until('the rest is counted', async () => {
    const { unproven = 0 } = (await stream()) ?? {};
    return unproven > 25_000 && unproven < 40_000 ? unproven : undefined;
  });
  const saved = await until('it is saved', async () => {
    const [row] = await pair.service.query(
      "SELECT skipped FROM banyan.banyan_touched WHERE table_name = 'bulk' AND skipped > 25000",
    );
    return row;
  });
  expect(Number(saved.skipped)).toBeLessThanOrEqual(left);
  expect(await verified(pair, things)).toMatchObject({ ok: true });
  await until('all proven', async () => (await stream())?.unproven === 0);
});
