// A process of its own, so that it can be a mutant: changes of owner whose hold and turn end in the very moments in which they are
// turned and closed, and each time a write that a facade's own rule holds and lets go, executed by a server with the real
// triggers. Prints one JSON object.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { pino } from 'pino';
import type { Side } from '../../capability/capability.ts';
import * as fence from '../../capability/fence.ts';
import { fenceStatements } from '../../capability/fence-triggers.ts';
import { createMetrics } from '../../facade/metrics.ts';
import { parseFacadeOptions } from '../../facade/options.ts';
import { createOwners, type WatchedOwners } from '../../facade/owners.ts';
import { type Chance, chance } from '../sync/seed.ts';

export type Tried = {
  readonly tries: number;
  /** By a server, although a facade had let the write go. */
  readonly refused: string[];
  /** Let go to the side that was to lose the writes, and to the one that had got them. */
  readonly stayed: number;
  readonly moved: number;
  readonly turned: number;
  /** The turn came when the hold was over. */
  readonly turnedLate: number;
  readonly closed: number;
  readonly closedLate: number;
  /** Written as told, once each. */
  readonly isWhole: boolean;
};

const sides = ['legacy', 'service'] as const;
const lanes = 8;

const { values } = parseArgs({
  options: {
    legacy: { type: 'string', default: '' },
    service: { type: 'string', default: '' },
    facadeLegacy: { type: 'string', default: '' },
    facadeService: { type: 'string', default: '' },
    tries: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});
const urls = { legacy: values.legacy, service: values.service };
const connect = (side: Side, database?: string) =>
  createConnection({ uri: urls[side], dateStrings: true, ...(database && { database }) });
const names = Array.from({ length: lanes }, (_, index) => `lane${index}`);
const schemaOf = { legacy: 'shop', service: 'things' } as const;

const counts = { tries: 0, stayed: 0, moved: 0, turned: 0, turnedLate: 0, closed: 0, closedLate: 0 };
const refused: string[] = [];

async function prepare(): Promise<void> {
  for (const side of sides) {
    const sql = await connect(side);
    await sql.query(`CREATE DATABASE ${schemaOf[side]}`);
    for (const capability of names) {
      await sql.query(`CREATE TABLE ${schemaOf[side]}.${capability} (id INT PRIMARY KEY)`);
      await sql.query("INSERT INTO banyan.banyan_fence (capability, owner, epoch) VALUES (?, 'legacy', 1)", [
        capability,
      ]);
      const place = { capability, side, schema: schemaOf[side], tables: [capability] };
      for (const statement of fenceStatements(place, [], 'enforce')) await sql.query(statement.sql);
    }
    await sql.end();
  }
}

/** As a coordinator: again, where a lock was in its way (a write whose disk stands still), while it is not too late. */
async function isExecuted(name: string, statement: () => Promise<fence.Outcome>): Promise<boolean> {
  for (;;) {
    const outcome = await statement();
    if (outcome.is === 'rows') return outcome.rows === 1;
    if (outcome.is !== 'busy') throw new Error(`${name}: ${JSON.stringify(outcome)}`);
    if (outcome.isLate) return false;
  }
}

class Lane {
  readonly #name: string;
  readonly #owners: WatchedOwners;
  readonly #on: Readonly<Record<Side, fence.FenceSessions>>;
  readonly #apps: Readonly<Record<Side, Connection>>;
  readonly #luck: Chance;
  #owner: Side = 'legacy';
  #epoch = 1n;
  #number = 0n;
  /** How much sooner a statement is sent so that about every second one comes too late. */
  readonly #leadMs = { turn: 6, close: 6 };
  readonly written: number[] = [];

  constructor(
    name: string,
    owners: WatchedOwners,
    on: Readonly<Record<Side, fence.FenceSessions>>,
    apps: Readonly<Record<Side, Connection>>,
    luck: Chance,
  ) {
    this.#name = name;
    this.#owners = owners;
    this.#on = on;
    this.#apps = apps;
    this.#luck = luck;
  }

  /** One hold, one write, one turn and one close, each near the end of what must be in force for it. */
  async once(): Promise<void> {
    const from = this.#owner;
    const to: Side = from === 'legacy' ? 'service' : 'legacy';
    const at = { capability: this.#name, owner: from, epoch: this.#epoch };
    const ids = { hold: ++this.#number, turn: this.#number + 1_000_000n };
    const holdMs = 30 + this.#luck.below(40);
    const turnMs = 10 + this.#luck.below(30);
    const heldAt = performance.now();
    await fence.hold(this.#on[from], this.#name, ids.hold, holdMs / 1_000);
    const report = await this.#owners.look(this.#name, holdMs);
    if (!report?.acknowledged.includes(String(ids.hold))) return; // over before it was seen: nothing is turned then
    counts.tries++;
    const writing = this.#write(from);
    const pushing = this.#push(2 * (holdMs + turnMs));
    await this.#near(heldAt + holdMs - this.#leadMs.turn);
    const isTurned = await isExecuted('turn', () => fence.turn(this.#on[from], at, ids, turnMs / 1_000));
    const turnedAt = performance.now();
    if (isTurned) {
      counts.turned++;
      await this.#near(turnedAt + turnMs - this.#leadMs.close);
      this.#leadMs.turn -= 1;
      if (await isExecuted('close', () => fence.close(this.#on[from], at, ids.turn, to))) {
        counts.closed++;
        this.#leadMs.close -= 1;
        await delay(this.#luck.below(8));
        await this.#open(to);
      } else {
        counts.closedLate++;
        this.#leadMs.close += 1;
      }
    } else {
      counts.turnedLate++;
      this.#leadMs.turn += 1;
    }
    await Promise.all([writing, pushing]);
  }

  /** A few milliseconds before, or after. */
  #near(ms: number): Promise<void> {
    return delay(Math.max(0, ms - performance.now() - 3 + this.#luck.below(7)));
  }

  /** Coordinators ask facades to look at any moment. */
  async #push(ms: number): Promise<void> {
    for (const end = performance.now() + ms; performance.now() < end; await delay(1 + this.#luck.below(6)))
      await this.#owners.look(this.#name, 0);
  }

  /** As the worker does. */
  async #open(to: Side): Promise<void> {
    await this.#on[to].sql.query(
      'UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL WHERE capability = ? AND owner <> ? AND epoch = ?',
      [to, String(this.#epoch + 1n), this.#name, to, String(this.#epoch)],
    );
    this.#owner = to;
    this.#epoch += 1n;
  }

  async #write(from: Side): Promise<void> {
    const id = counts.tries;
    const group = this.#owners.writes.group([this.#name]);
    const client = new ServerResponse(new IncomingMessage(new Socket()));
    const entry = await group.enter(performance.now(), client, true);
    if (entry.is !== 'entered') throw new Error(`write ${id} was not let go: ${JSON.stringify(entry)}`);
    counts[entry.to === from ? 'stayed' : 'moved']++;
    try {
      await this.#apps[entry.to].query(`INSERT INTO ${this.#name} VALUES (?)`, [id]);
      this.written.push(id);
    } catch (error) {
      refused.push(`${entry.to}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      group.leave();
      entry.freeSlot?.();
    }
  }

  async isWhole(): Promise<boolean> {
    const found = await Promise.all(
      sides.map((side) => this.#apps[side].query<RowDataPacket[]>(`SELECT id FROM ${this.#name}`)),
    );
    return found.flatMap(([rows]) => rows).length === this.written.length;
  }
}

await prepare();
const limits = parseFacadeOptions([], {});
const owners = createOwners(
  names,
  { legacy: values.facadeLegacy, service: values.facadeService },
  values.facadeLegacy,
  limits,
  createMetrics(),
  pino({ level: 'silent' }),
);
await owners.start('http://127.0.0.1:1');
const seed = chance(Number(values.seed));
const sessions = async (side: Side) => {
  const sql = await connect(side);
  await fence.prepareFenceSession(sql);
  return { sql, observer: await connect(side) };
};
const app = async (side: Side, index: number) => {
  const sql = await connect(side, schemaOf[side]);
  const level = index % 2 === 0 ? 'READ COMMITTED' : 'REPEATABLE READ';
  await sql.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
  return sql;
};
const all = await Promise.all(
  names.map(
    async (name, index) =>
      new Lane(
        name,
        owners,
        { legacy: await sessions('legacy'), service: await sessions('service') },
        { legacy: await app('legacy', index), service: await app('service', index) },
        seed.fork(name),
      ),
  ),
);
await Promise.all(
  all.map(async (lane) => {
    while (counts.tries < Number(values.tries)) await lane.once();
  }),
);
const whole = await Promise.all(all.map((lane) => lane.isWhole()));
const tried: Tried = { ...counts, refused, isWhole: whole.every(Boolean) };
console.log(JSON.stringify({ ...tried, refused: refused.slice(0, 20) }));
process.exit(0);
