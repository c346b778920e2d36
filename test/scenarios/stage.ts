// What scenarios of the change of owner are played on: two private servers with one table `item` on either side, the fence
// enforced, a worker, real facades before a small application on each side, and the real commands through relays.
//
// - `stage.pair`: the servers, more workers, what differs between the sides, what the streams have stopped at.
// - `stage.as('legacy', 'cron')`: a session that goes past the facades, as an application's account.
// - `stage.change('cutover')`: the command in a process of its own, through the relays `legacy`, `service` and `control`;
//   `stage.stoppedAt('close')`: the command, standing still, with that statement on its way.
// - `stage.write(id)`: a client's write through a facade; `stage.startClients(n)`: clients that go on writing.
// - `stage.expectWhole()`: what was acknowledged is on both sides, nobody was refused, one side admits.
// Mutants: `{ env: mutantEnv(…) }` for a command or a facade, `pair.startMutant(env)` for a worker, `enforce(env)` for triggers.
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import { setReadPercent, writeFlagFile } from '../../capability/flag-file.ts';
import { parseReplicaReport } from '../../capability/replicas.ts';
import { asAccount } from '../as-account.ts';
import { claimFolder } from '../claimed-folder.ts';
import { startFacadeProcess } from '../facade/facade-process.ts';
import { type Relay, startRelay } from '../relay.ts';
import { againMsMax, type Cli, isForWantOfTime } from '../story/stack.ts';
import { type Pair, type Side, startPair } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { configText, type Refusal, startApp } from './app.ts';
import { ClientDesk, type Clients, type Facade } from './clients.ts';
import { type ChangeOptions, type Command, type Step, type Stopped, started, stepOf } from './command.ts';

const root = join(import.meta.dirname, '..', '..');
const sides = ['legacy', 'service'] as const;

export const isolationLevels = ['READ COMMITTED', 'REPEATABLE READ'] as const;
export type IsolationLevel = (typeof isolationLevels)[number];

/** What the commands of a scenario do not wait for hours for. */
const overridden = {
  cutover: ['backfilled', 'verified', 'reads', 'writers', 'doctor'],
  rollback: [],
} as const;

export type Fences = Readonly<
  Record<Side, { owner: Side; epoch: number; turn: string | null; isOver: boolean; hold: string | null }>
>;

export type Stage = {
  readonly pair: Pair;
  readonly worker: WorkerProcess;
  readonly facades: Facade[];
  /** Between commands and servers; everything else goes there directly. */
  readonly legacy: Relay;
  readonly service: Relay;
  /** To the control store, which is on the legacy server. */
  readonly control: Relay;
  /** Writes that a server refused to an application. */
  readonly refused: Refusal[];
  /** What a client was told that it should not have been told. */
  readonly troubles: string[];
  /** Ids that clients were told are written. */
  readonly acknowledged: Set<number>;
  as(side: Side, user: 'app' | 'cron', level?: IsolationLevel): Promise<Connection>;
  fences(): Promise<Fences>;
  /** Sides whose own row names them, without a turn in force. */
  admitting(): Promise<Side[]>;
  /** An id that nobody else uses. */
  nextId(): number;
  /** @returns the status; 0: no answer */
  write(id?: number, facade?: Facade): Promise<number>;
  startClients(clients: number): Clients;
  /** Reads go to the service, where its side is fresh enough for who reads. */
  readFromService(): Promise<void>;
  /** How many writes a facade keeps waiting. */
  heldAt(facade: Facade): Promise<number>;
  startFacade(env?: Readonly<Record<string, string>>, words?: readonly string[]): Promise<Facade>;
  change(options?: ChangeOptions): Command;
  /** The command to its end, once the gates are open. */
  attempt(options?: ChangeOptions): Promise<Cli>;
  stoppedAt(step: Step, options?: ChangeOptions): Promise<Stopped>;
  /** Waits until the owner's server, legacy's, is at the statement of this step, and that waits for a row of somebody's. */
  reached(step: Step): Promise<void>;
  isAt(step: Step): Promise<boolean>;
  /** No session of a command that has died, or has ended, is left on the server: what it had sent has been executed, or never will be. */
  sessionsEnded(side: Side): Promise<void>;
  /** A command that must end well; it is run again where it was short of time. */
  done(move: 'cutover' | 'rollback', words?: readonly string[]): Promise<Record<string, unknown>>;
  /** One that stands still keeps its claim for ten seconds: it is comfort only. */
  forgetClaim(): Promise<void>;
  /** The fence's triggers, by a mutant of them perhaps. */
  enforce(env?: NodeJS.ProcessEnv): Promise<void>;
  expectWhole(): Promise<void>;
  /** Ids that the owner lacks although a client or a session was told that they are written. */
  lost(ids: Iterable<number>): Promise<number[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** @param replicas facades that are there from the beginning */
export async function startStage(replicas = 1): Promise<Stage> {
  const pair = await startPair({
    tables: ['item'],
    ddl: 'CREATE TABLE item (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL); CREATE TABLE elsewhere (id INT PRIMARY KEY);',
  });
  const runFolder = await claimFolder('stage');
  for (const side of sides)
    for (const user of ['app', 'cron'])
      await pair
        .server(side)
        .query(
          `CREATE USER ${user}@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, DELETE ON ${pair.schema(side)}.* TO ${user}@'%'`,
        );
  const sessions: Connection[] = [];
  const as: Stage['as'] = async (side, user, level = 'REPEATABLE READ') => {
    const sql = await pair.connect(side);
    sessions.push(sql);
    await sql.changeUser({ user, password: 'secret', database: pair.schema(side) });
    await sql.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
    return sql;
  };
  const refused: Refusal[] = [];
  const apps = {
    legacy: await startApp('legacy', () => as('legacy', 'app'), refused),
    service: await startApp('service', () => as('service', 'app'), refused),
  };
  const config = join(pair.folder, 'banyan.config.ts');
  writeFileSync(config, configText(apps.legacy.url, apps.service.url));
  const worker = await pair.startWorker();
  await pair.legacy.query("UPDATE banyan.capability SET phase = 'reads' WHERE name = 'things'");
  const [legacy, service, control] = await Promise.all(
    [pair.legacy, pair.service, pair.legacy].map(({ url }) => startRelay(Number(new URL(url).port))),
  );
  if (!legacy || !service || !control) throw new Error('three relays were started');
  const flags = join(runFolder.path, 'flags.json');
  writeFlagFile(flags, { version: 2, features: [] });
  setReadPercent(flags, 'things', 0);
  const token = 'a token of the scenarios';
  const asFacade = (url: string, path: string) => asAccount(pair.folder, 'banyan_facade', url, path);
  const facades: Facade[] = [];
  const clients = new ClientDesk(facades);
  const { troubles, acknowledged } = clients;
  let facadesMade = 0;
  const commands: Command[] = [];

  const run = (words: readonly string[], env: NodeJS.ProcessEnv) => {
    const child = spawn(
      process.execPath,
      [join(root, 'scripts', 'banyan.ts'), ...words, '--config', config, '--folder', pair.folder],
      { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    runFolder.remember(child.pid ?? 0);
    const command = started(child);
    commands.push(command);
    return command;
  };

  async function startFacade(
    env: Readonly<Record<string, string>> = {},
    words: readonly string[] = [],
  ): Promise<Facade> {
    const facade = await startFacadeProcess({
      name: `facade-${++facadesMade}`,
      runFolder,
      config,
      token,
      databases: {
        control: asFacade(pair.legacy.url, '/banyan'),
        legacy: asFacade(pair.legacy.url, '/'),
        services: asFacade(pair.service.url, '/'),
      },
      env: { BANYAN_FLAGS: flags, ...env },
      words,
    });
    facades.push(facade);
    return facade;
  }

  async function enforce(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const urls = ['--legacy-url', pair.legacy.url, '--services-url', pair.service.url];
    const { code, stderr } = await run(['fence', 'things', '--enforce', '--execute', ...urls], env).ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  }

  async function fenceOf(side: Side): Promise<Fences[Side]> {
    const [row] = await pair.server(side).query(
      `SELECT f.owner, f.epoch, CAST(f.turn_id AS CHAR) AS turn, CAST(h.hold_id AS CHAR) AS hold,
         f.turn_deadline IS NULL OR UNIX_TIMESTAMP(SYSDATE(6)) > f.turn_deadline AS isOver
       FROM banyan.banyan_fence f LEFT JOIN banyan.banyan_hold h
         ON h.capability = f.capability AND UNIX_TIMESTAMP(SYSDATE(6)) < h.hold_until WHERE f.capability = 'things'`,
    );
    return {
      owner: row?.owner === 'legacy' ? 'legacy' : 'service',
      epoch: Number(row?.epoch),
      turn: row?.turn ?? null,
      isOver: Number(row?.isOver) === 1,
      hold: row?.hold ?? null,
    };
  }

  const stage: Stage = {
    pair,
    worker,
    facades,
    legacy,
    service,
    control,
    refused,
    troubles,
    acknowledged,
    as,
    fences: async () => ({ legacy: await fenceOf('legacy'), service: await fenceOf('service') }),
    async admitting() {
      const fences = await stage.fences();
      return sides.filter((side) => fences[side].owner === side && fences[side].isOver);
    },
    nextId: () => clients.nextId(),
    write: (id, facade) => clients.write(id, facade),
    startClients: (number) => clients.start(number),
    async heldAt({ said }) {
      const answer = await fetch(`${said.admin}/api/writes/things/look?waitMs=0`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
      return parseReplicaReport(await answer.json())?.held ?? 0;
    },
    async readFromService() {
      await pair.aligned();
      const { code, stderr } = await pair.banyan('verify', 'things');
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      setReadPercent(flags, 'things', 100);
    },
    startFacade,
    change({ move = 'cutover', env = {}, words = [] } = {}) {
      const gates = overridden[move];
      return run(
        [
          ...[move, 'things', '--execute', '--json', '--actor', 'scenario', ...words],
          ...(gates.length > 0 ? ['--override', gates.join(','), '--reason', 'a scenario'] : []),
          ...['--legacy-url', `mysql://127.0.0.1:${legacy.port}`],
          ...['--services-url', `mysql://127.0.0.1:${service.port}`],
          ...['--control-url', `mysql://127.0.0.1:${control.port}`],
        ],
        { BANYAN_ADMIN_TOKEN: token, ...env },
      );
    },
    async attempt(options) {
      for (const end = performance.now() + againMsMax; ; ) {
        const cli = await stage.change(options).ended;
        if (cli.code !== 3 || performance.now() > end) return cli;
      }
    },
    async stoppedAt(step, options = {}) {
      const { on, words } = stepOf(step);
      const isBack = options.move === 'rollback';
      const relay = on === 'control' ? control : (on === 'legacy') === isBack ? service : legacy;
      for (const end = performance.now() + againMsMax; ; ) {
        const held = relay.holdAtPart(words, () => command.stop());
        const command = stage.change(options);
        const early = await Promise.race([held.sprung, command.ended]);
        if (!early) return { ...command, release: held.release };
        if (!isForWantOfTime(early.code) || performance.now() > end)
          throw new Error(`the command ended before ${step}: ${early.code} ${early.stdout} ${early.stderr}`);
      }
    },
    async isAt(step) {
      const rows = await pair.legacy.query(
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'banyan_cli' AND INFO LIKE ?",
        [`%${stepOf(step).words}%`],
      );
      return rows.length > 0;
    },
    async reached(step) {
      await until(`the ${step} to wait`, async () => {
        // A statement is listed before it has asked for its lock.
        const [waits] = await pair.legacy.query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        return Number(waits?.Value) > 0 && (await stage.isAt(step));
      });
    },
    async sessionsEnded(side) {
      await until('the end of the sessions', async () => {
        const rows = await pair
          .server(side)
          .query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'banyan_cli'");
        return rows.length === 0;
      });
    },
    async done(move, words = ['--wait', '20']) {
      for (const end = performance.now() + againMsMax; ; ) {
        const { code, stdout, stderr } = await stage.change({ move, words }).ended;
        if (isForWantOfTime(code) && performance.now() < end) continue;
        expect({ move, code, stderr: code === 0 ? '' : stdout + stderr }).toEqual({
          move,
          code: 0,
          stderr: '',
        });
        return JSON.parse(stdout);
      }
    },
    async forgetClaim() {
      await pair.legacy.query(
        'UPDATE banyan.change_of_owner SET lease_until = CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND',
      );
    },
    enforce,
    async expectWhole() {
      await until('one side that admits', async () => (await stage.admitting()).length === 1);
      await pair.aligned();
      expect(await pair.faults()).toEqual([]);
      expect(await pair.compare()).toEqual([]);
      expect(await stage.lost(acknowledged)).toEqual([]);
      expect(refused).toEqual([]);
      expect(troubles).toEqual([]);
      const { legacy, service } = await stage.fences();
      expect([legacy.owner, legacy.epoch]).toEqual([service.owner, service.epoch]);
    },
    async lost(ids) {
      const { legacy, service } = await stage.fences();
      const { owner } = legacy.epoch > service.epoch ? legacy : service;
      const rows = await pair.server(owner).query(`SELECT id FROM ${pair.schema(owner)}.item`);
      const there = new Set(rows.map(({ id }) => Number(id)));
      return [...ids].filter((id) => !there.has(id));
    },
    async [Symbol.asyncDispose]() {
      for (const command of commands) {
        if (command.hasEnded()) continue;
        command.go();
        command.kill();
        await command.ended;
      }
      for (const facade of facades) {
        process.kill(facade.pid, 'SIGKILL');
        await facade.stop();
      }
      await clients.close();
      for (const app of Object.values(apps)) app.close();
      for (const sql of sessions) sql.destroy();
      for (const relay of [legacy, service, control]) await relay[Symbol.asyncDispose]();
      await pair[Symbol.asyncDispose]();
      rmSync(runFolder.path, { recursive: true, force: true });
    },
  };
  try {
    await enforce();
    for (let made = 0; made < replicas; made++) await startFacade();
    return stage;
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}
