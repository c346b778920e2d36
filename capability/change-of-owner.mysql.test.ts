// The statements of a change of owner on a real server: random sequences must do what the model of the proof says that
// they do (test/change-of-owner/sql-steps.ts), step by step; and what no model shows: who waits for whom.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimRunFolder } from '../scripts/run-folder.ts';
import { SyncError } from '../sync/errors.ts';
import { Frame, prepareApplySession, readStreamState } from '../sync/frame.ts';
import * as steps from '../test/change-of-owner/sql-steps.ts';
import { type Chance, suiteSeed } from '../test/sync/seed.ts';
import { type SideServer, startSide } from '../test/sync/servers.ts';
import { until } from '../test/sync/until.ts';
import { blockerOf, watchBlocker } from './blockers.ts';
import type { Side } from './capability.ts';
import { migrateOwnSchema } from './control-store.ts';
import * as fence from './fence.ts';

const capability = 'reviews';
const sides: readonly Side[] = ['legacy', 'service'];
const isolations = ['READ COMMITTED', 'REPEATABLE READ'] as const;
const key = { capability, source: 'legacy' } as const;
const seed = suiteSeed('change of owner, statements');

let folder: string;
let server: SideServer;
let on: fence.FenceSessions;
let writer: Connection;
let applier: Connection;
const opened: Connection[] = [];

async function connect(database?: string): Promise<Connection> {
  const sql = await server.connect(database);
  opened.push(sql);
  return sql;
}

beforeAll(async () => {
  const parent = process.env.BANYAN_TEST_FOLDER;
  if (!parent) throw new Error('run the suites by "npm test -- PATH"');
  mkdirSync(dirname(parent), { recursive: true });
  folder = mkdtempSync(join(dirname(parent), 'fence-'));
  server = await startSide(folder, 21, await claimRunFolder(folder));
  await server.query('CREATE DATABASE banyan; CREATE DATABASE shop');
  const sql = await connect('banyan');
  await migrateOwnSchema(sql, 'side');
  // The server plays the service's side; its trigger is the contract's.
  await sql.query(`CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY);
    CREATE TRIGGER shop.t_fence BEFORE INSERT ON shop.t FOR EACH ROW BEGIN
      DECLARE o VARCHAR(10); DECLARE d DECIMAL(20,6);
      SELECT owner, turn_deadline INTO o, d FROM banyan.banyan_fence WHERE capability = 'reviews' LOCK IN SHARE MODE;
      IF o IS NULL OR o <> 'service' OR (d IS NOT NULL AND UNIX_TIMESTAMP(SYSDATE(6)) <= d) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fenced';
      END IF;
    END`);
  on = { sql: await connect(), observer: await connect() };
  writer = await connect('shop');
  applier = await connect();
  await fence.prepareFenceSession(on.sql);
  await prepareApplySession(applier);
  // Tests set sessions aside for longer than the applier's time limits.
  await applier.query('SET SESSION wait_timeout = 600');
});

beforeEach(async () => {
  await server.query(`REPLACE INTO banyan.banyan_fence VALUES ('reviews', 'service', 1, NULL, NULL);
    DELETE FROM banyan.banyan_hold;
    REPLACE INTO banyan.banyan_stream (capability, source, seq) VALUES ('reviews', 'legacy', 0)`);
});

afterEach(async () => {
  // A test that failed leaves no locks behind for the next one.
  await writer.query('UNLOCK TABLES; ROLLBACK').catch(() => undefined);
  await applier.query('ROLLBACK');
  await fence.prepareFenceSession(on.sql);
});

afterAll(async () => {
  for (const sql of opened) sql.destroy();
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Asked seldom: InnoDB refreshes what it shows of locks only when nobody has looked for 0.1 s. */
const itWaits = (thread: number) =>
  until('the wait for a lock', async () => {
    await delay(200);
    return (await blockerOf(on.observer, thread)) !== undefined;
  });

const rows = (count: 0 | 1) => ({ is: 'rows', rows: count });

/** What both have: the real server's rows in the model's words. */
async function seen(): Promise<unknown> {
  const row = await fence.readFence(on.sql, capability, 'none');
  const hold = await fence.readHold(on.sql, capability);
  const { seq } = await readStreamState(on.sql, key);
  return {
    owner: row?.owner,
    epoch: Number(row?.epoch),
    turn: row?.turn ? [Number(row.turn.id), !row.turn.isOver] : 'none',
    hold: hold ? [Number(hold.id), !hold.isOver] : 'none',
    seq: Number(seq),
  };
}

type Model = { readonly server: steps.Server; seq: number };

const modelled = ({ server, seq }: Model) => ({
  owner: sides[server.owner],
  epoch: server.epoch,
  turn: server.turn === 0 ? 'none' : [server.turn, server.turnInTime],
  hold: server.hold === 0 ? 'none' : [server.hold, server.holdInTime],
  seq,
});

/** One statement, on the model and on the server. */
type Tried = { readonly what: string; readonly model: unknown; readonly real: unknown };

const forLong = (inTime: boolean) => (inTime ? 1_000 : -1_000);

async function tryOne(random: Chance, model: Model, number: number): Promise<Tried> {
  const { server: row } = model;
  // Mostly right, so that something happens.
  const isWrong = () => random.below(10) === 0;
  const owner = isWrong() ? (row.owner === 1 ? 0 : 1) : row.owner;
  const epoch = isWrong() ? row.epoch + (random.below(2) === 0 ? 1 : -1) : row.epoch;
  const at = { owner, epoch };
  const real = { capability, owner: sides[owner] ?? 'legacy', epoch: BigInt(epoch) };
  const recent = (known: number) => (isWrong() ? 1 + random.below(number) : known || 1);
  const inTime = random.below(4) > 0;
  const said = (what: string, model: unknown, real: unknown): Tried => ({ what, model, real });
  switch (random.below(11)) {
    case 0: {
      steps.hold(row, number, inTime);
      const outcome = await fence.hold(on, capability, BigInt(number), forLong(inTime));
      return said(`hold ${number} ${inTime}`, rows(1), outcome);
    }
    case 1:
    case 2: {
      const hold = recent(row.hold);
      const count = steps.turn(row, at, { hold, turn: number }, inTime);
      const ids = { hold: BigInt(hold), turn: BigInt(number) };
      const outcome = await fence.turn(on, real, ids, forLong(inTime));
      return said(`turn ${JSON.stringify([at, hold, inTime])}`, rows(count), outcome);
    }
    case 3:
    case 4: {
      const [turn, to] = [recent(row.turn), owner === 0 ? 1 : 0] as const;
      const count = steps.close(row, at, turn, to);
      const outcome = await fence.close(on, real, BigInt(turn), sides[to] ?? 'legacy');
      return said(`close ${JSON.stringify([at, turn])}`, rows(count), outcome);
    }
    case 5: {
      const turn = recent(row.turn);
      const count = steps.endTurn(row, at, turn);
      return said(
        `end turn ${JSON.stringify([at, turn])}`,
        rows(count),
        await fence.endTurn(on, real, BigInt(turn)),
      );
    }
    case 6: {
      const hold = recent(row.hold);
      const count = steps.removeHold(row, hold);
      return said(`remove hold ${hold}`, rows(count), await fence.removeHold(on, capability, BigInt(hold)));
    }
    case 7:
      return said(`probe ${JSON.stringify(at)}`, rows(steps.probe(row, at)), await fence.probe(on, real));
    case 8:
      return said('write', steps.admitsWriter(row, 1), await writes());
    default: {
      const mine = isWrong() ? model.seq + 1 : model.seq;
      const opens = random.below(2) === 0;
      const outcome = frameOnModel(model, mine, epoch, opens);
      return said(
        `frame ${JSON.stringify([mine, epoch, opens])}`,
        outcome,
        await frameOnServer(mine, epoch, opens),
      );
    }
  }
}

async function writes(): Promise<boolean> {
  try {
    await writer.query('INSERT INTO t VALUES ()');
    return true;
  } catch (error) {
    if (error instanceof Error && 'sqlState' in error && error.sqlState === '45000') return false;
    throw error;
  }
}

/** The stream from legacy, which opens this side when it meets the close row. */
function frameOnModel(model: Model, mine: number, epoch: number, opens: boolean): string {
  if (mine !== model.seq) return 'superseded';
  if (!steps.looksRight(model.server, 0, epoch)) return 'fence-disagrees';
  if (opens && steps.open(model.server, 1, epoch + 1) !== 1) return 'fence-disagrees';
  model.seq++;
  return 'committed';
}

async function frameOnServer(mine: number, epoch: number, opens: boolean): Promise<string> {
  const frame = new Frame(applier, key);
  const known = await readStreamState(on.observer, key);
  const open = { owner: 'service' as const, epoch: BigInt(epoch + 1) };
  try {
    await frame.begin(
      { ...known, seq: BigInt(mine) },
      {
        check: { epoch: BigInt(epoch) },
        state: { ...known, seq: BigInt(mine + 1) },
        ...(opens ? { open } : {}),
      },
    );
    if (opens) await frame.open(open);
    await frame.commit();
    return 'committed';
  } catch (error) {
    await frame.rollback();
    if (error instanceof SyncError) return error.code;
    throw error;
  }
}

/** Clocks do not wait in a test: a deadline passes because it is set into the past. */
async function passDeadline(random: Chance, model: Model): Promise<void> {
  if (random.below(2) === 0) {
    await server.query('UPDATE banyan.banyan_fence SET turn_deadline = turn_deadline - 5000');
    model.server.turnInTime = false;
  } else {
    await server.query('UPDATE banyan.banyan_hold SET hold_until = hold_until - 5000');
    model.server.holdInTime = false;
  }
}

describe.each(isolations)('at %s', (isolation) => {
  beforeEach(async () => {
    for (const sql of [on.sql, on.observer, writer])
      await sql.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${isolation}`);
  });

  test('random sequences of statements do what the model says', { timeout: 120_000 }, async () => {
    const outcomes = new Map<string, number>();
    for (let sequence = 0; sequence < 40; sequence++) {
      const random = seed.fork(`${isolation} ${sequence}`);
      await server.query(
        "UPDATE banyan.banyan_fence SET owner = 'service', epoch = 1, turn_id = NULL, turn_deadline = NULL; DELETE FROM banyan.banyan_hold; UPDATE banyan.banyan_stream SET seq = 0",
      );
      const model: Model = {
        server: { owner: 1, epoch: 1, turn: 0, turnInTime: false, hold: 0, holdInTime: false },
        seq: 0,
      };
      const history: string[] = [];
      for (let number = 1; number <= 40; number++) {
        const { what, model: expected, real } = await tryOne(random, model, number);
        history.push(what);
        expect(real, `sequence ${sequence}: ${history.join('; ')}`).toEqual(expected);
        expect(await seen(), `sequence ${sequence}: ${history.join('; ')}`).toEqual(modelled(model));
        const kind = `${what.split(' ')[0]} ${JSON.stringify(expected)}`;
        outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
        if (random.below(6) === 0) await passDeadline(random, model);
      }
    }
    console.log([...outcomes].map(([kind, count]) => `${kind}: ${count}`).join(', '));
    // Each statement has matched and not matched.
    for (const word of ['turn', 'close', 'end', 'remove', 'probe'])
      for (const count of [0, 1])
        expect(outcomes.get(`${word} {"is":"rows","rows":${count}}`), word).toBeGreaterThan(0);
    for (const outcome of ['committed', 'superseded', 'fence-disagrees'])
      expect(outcomes.get(`frame "${outcome}"`), outcome).toBeGreaterThan(0);
  });

  const n = { capability, owner: 'service', epoch: 1n } as const;
  const ids = { hold: 1n, turn: 1n };

  test('a turn waits for who is writing, names him, and passes when he ends', {
    timeout: 30_000,
  }, async () => {
    await fence.hold(on, capability, 1n, 100);
    await writer.query('START TRANSACTION; INSERT INTO t VALUES ()');
    await on.sql.query('SET SESSION innodb_lock_wait_timeout = 3'); // a busy machine looks late
    const busy = await fence.turn(on, n, ids, 100);
    const blocker = { thread: writer.threadId, user: expect.stringMatching(/^root@/) };
    expect(busy).toMatchObject({ is: 'busy', isLate: false, blocker });
    await fence.removeHold(on, capability, 1n);
    await fence.prepareFenceSession(on.sql);
    expect(await fence.turn(on, n, ids, 100)).toMatchObject({ is: 'busy', isLate: true });
    await writer.query('COMMIT');
    await fence.hold(on, capability, 1n, 100);
    expect(await fence.turn(on, n, ids, 100)).toEqual(rows(1));
    expect(await writes()).toBe(false);
  });

  /** Begins a statement that has to wait; resolves when it waits. */
  async function waiting(statement: () => Promise<fence.Outcome>): Promise<Promise<fence.Outcome>[]> {
    const outcome = statement();
    await itWaits(on.sql.threadId);
    return [outcome];
  }

  test('who is in the way is looked for until somebody is', { timeout: 30_000 }, async () => {
    await writer.query('START TRANSACTION; INSERT INTO t VALUES ()');
    await on.sql.query('SET SESSION innodb_lock_wait_timeout = 3');
    using watch = watchBlocker(on.observer, on.sql.threadId);
    // At the first look nobody is in its way yet.
    const statement = on.sql.query(
      "DO SLEEP(0.6); SELECT epoch FROM banyan.banyan_fence WHERE capability = 'reviews' FOR UPDATE",
    );
    await expect(statement).rejects.toThrow('Lock wait timeout');
    expect(await watch.found()).toMatchObject({ thread: writer.threadId });
  });

  test('a turn that waited looks at the hold afterwards', { timeout: 30_000 }, async () => {
    await on.sql.query('SET SESSION innodb_lock_wait_timeout = 20');
    await fence.hold(on, capability, 1n, 100);
    await writer.query('START TRANSACTION; INSERT INTO t VALUES ()');
    const [outcome] = await waiting(() => fence.turn(on, n, ids, 100));
    await server.query('UPDATE banyan.banyan_hold SET hold_until = hold_until - 5000');
    await writer.query('COMMIT');
    expect(await outcome).toEqual(rows(0));
  });

  test('a close that waited past its deadline closes nothing (SYSDATE, not NOW)', {
    timeout: 30_000,
  }, async () => {
    await on.sql.query('SET SESSION innodb_lock_wait_timeout = 20');
    await fence.hold(on, capability, 1n, 100);
    expect(await fence.turn(on, n, ids, 1.5)).toEqual(rows(1));
    await writer.query(
      'START TRANSACTION; SELECT owner FROM banyan.banyan_fence WHERE capability = "reviews" LOCK IN SHARE MODE',
    );
    const [outcome] = await waiting(() => fence.close(on, n, 1n, 'legacy'));
    await until(
      'the deadline',
      async () => (await fence.readFence(on.observer, capability, 'none'))?.turn?.isOver === true,
    );
    await writer.query('COMMIT');
    expect(await outcome).toEqual(rows(0));
  });

  test('a backup that locks all tables keeps a turn waiting for a second, not a day', {
    timeout: 30_000,
  }, async () => {
    await fence.hold(on, capability, 1n, 100);
    await writer.query('FLUSH TABLES WITH READ LOCK');
    expect(await fence.turn(on, n, ids, 100)).toMatchObject({ is: 'busy', isLate: false });
    await writer.query('UNLOCK TABLES');
    expect(await fence.turn(on, n, ids, 100)).toEqual(rows(1));
  });

  test('a statement whose session is killed is lost, and its row is read', { timeout: 30_000 }, async () => {
    await fence.hold(on, capability, 1n, 100);
    const sql = await connect();
    await writer.query('START TRANSACTION; INSERT INTO t VALUES ()');
    const outcome = fence.turn({ sql, observer: on.observer }, n, ids, 100);
    await itWaits(sql.threadId);
    await server.query('KILL ?', [sql.threadId]);
    expect((await outcome).is).toBe('lost');
    await writer.query('COMMIT');
    // FOR SHARE waits for what may still be under way.
    expect((await fence.readFence(on.sql, capability, 'share'))?.epoch).toBe(1n);
  });

  test('a prepared XA transaction does not keep the turn out, and is found after it', {
    timeout: 30_000,
  }, async () => {
    await fence.hold(on, capability, 1n, 100);
    await writer.query("XA START 'x'; INSERT INTO t VALUES (); XA END 'x'; XA PREPARE 'x'");
    expect(await fence.preparedXa(on.sql)).toEqual(['x']);
    expect(await fence.turn(on, n, ids, 100)).toEqual(rows(1));
    await writer.query("XA ROLLBACK 'x'");
    expect(await fence.preparedXa(on.sql)).toEqual([]);
  });
});

test('both rows are read as they stand; where one is missing nothing is made up', async () => {
  const both = { legacy: on.sql, service: on.observer };
  const row = { owner: 'service', epoch: 1n, turn: null };
  expect(await fence.readFences(both, capability)).toEqual({ legacy: row, service: row });
  expect(await fence.readFences(both, 'orders')).toBeUndefined();
});

test('a statement that the server refuses has not been executed, and says so', async () => {
  const at = { capability, owner: 'service', epoch: 1n } as const;
  const stranger = await connect();
  await server.query("CREATE OR REPLACE USER stranger@'%' IDENTIFIED BY 'x'");
  await stranger.changeUser({ user: 'stranger', password: 'x' });
  const outcome = await fence.close({ sql: stranger, observer: on.observer }, at, 1n, 'legacy');
  expect(outcome.is).toBe('refused');
});
