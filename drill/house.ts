// The whole sample as `npm start -- --replicas 2` runs it, on two database servers of the drill's own: its parts reach them
// through relays, and so does the command that changes the owner, through relays of its own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  claimRunFolder,
  type RunFolder,
  RunFolderBusyError,
  sweepRunFolders,
} from '../scripts/run-folder.ts';
import { type Relay, startRelay } from '../test/relay.ts';
import {
  type Cli,
  type RunningCommand,
  type RunningStack,
  startCommand,
  startStack,
} from '../test/story/stack.ts';
import { type SideServer, startSide } from '../test/sync/servers.ts';
import { until } from '../test/sync/until.ts';
import type { Need } from './incidents.ts';
import type { Side } from './sides.ts';

export type Part = Exclude<Need, 'legacy database' | 'services database'> | 'worker';
export const parts: readonly Part[] = ['facade', 'facade-2', 'monolith', 'reviews', 'worker'];

export type Where = 'legacy' | 'services' | 'control';

export type House = {
  readonly stack: RunningStack;
  readonly servers: Readonly<Record<Side, SideServer>>;
  /** Of the stack's connections; those to the servers are `servers[side].relay`. */
  readonly control: Relay;
  /** Of the command's connections. */
  readonly commandRelays: Readonly<Record<Where, Relay>>;
  /** A command to its end. */
  banyan(...words: string[]): Promise<Cli>;
  /** A command through its own relays. */
  start(...words: string[]): RunningCommand;
  /** As root, each time it is asked for: a restarted part has another one. */
  pidOf(part: Part): Promise<number>;
  /** Resolves when the part answers its clients. */
  answers(part: Part): Promise<void>;
  /** What each part has logged. */
  logs(): Readonly<Record<string, string>>;
  [Symbol.asyncDispose](): Promise<void>;
};

const answersMsMax = 60_000;
const stackIn = (folder: string) => join(folder, 'stack');

/** What a run has left, if anything: its children, and theirs, which a stack that could not end in order has left behind. */
export async function endHouse(runFolder: RunFolder): Promise<void> {
  await runFolder.endChildren();
  await (await claimRunFolder(join(stackIn(runFolder.path), 'run'))).endChildren();
}

/** The same for every run below `parent` whose process is gone. */
export async function sweepHouses(parent: string): Promise<void> {
  for (const name of existsSync(parent) ? readdirSync(parent) : [])
    try {
      await endHouse(await claimRunFolder(join(parent, name)));
    } catch (error) {
      if (!(error instanceof RunFolderBusyError)) throw error;
    }
  await sweepRunFolders(parent);
}

export type HouseOptions = {
  /** How the stack's parts reach the servers: through relays, which are in this process and stand still when it does, or by themselves. */
  readonly way: 'relays' | 'straight';
  /** More for the environment of the stack's parts, of a run in that folder. */
  readonly env?: (folder: string) => NodeJS.ProcessEnv;
};

/** @param folder of the run; what it holds is private to it */
export async function startHouse(
  folder: string,
  runFolder: RunFolder,
  { way, env }: HouseOptions,
): Promise<House> {
  const [legacy, service] = await Promise.all([
    startSide(folder, 11, runFolder),
    startSide(folder, 12, runFolder),
  ]);
  const portOf = (url: string) => Number(new URL(url).port);
  const control = await startRelay(portOf(legacy.url));
  const commandRelays = {
    legacy: await startRelay(portOf(legacy.url)),
    services: await startRelay(portOf(service.url)),
    control: await startRelay(portOf(legacy.url)),
  };
  const rootAt = (relay: Relay, server: SideServer) =>
    way === 'straight' ? server.url : Object.assign(new URL(server.url), { port: String(relay.port) }).href;
  const stack = await startStack(
    [
      ...['--replicas', '2', '--reviews', '300'],
      ...['--legacy-url', rootAt(legacy.relay, legacy)],
      ...['--services-url', rootAt(service.relay, service)],
      ...['--control-url', rootAt(control, legacy)],
    ],
    stackIn(folder),
    env?.(folder),
  );
  if (stack.process.pid) runFolder.remember(stack.process.pid);
  const health: Readonly<Record<Part, string>> = {
    facade: `${stack.facades[0]?.admin}/readyz`,
    'facade-2': `${stack.facades[1]?.admin}/readyz`,
    monolith: `${stack.legacy}/health.do`,
    reviews: `${stack.services.reviews}/readyz`,
    worker: `${stack.worker}/healthz`,
  };
  const relays = [control, ...Object.values(commandRelays)];
  return {
    stack,
    servers: { legacy, service },
    control,
    commandRelays,
    banyan: (...words) => stack.banyan(...words, '--json'),
    start: (...words) =>
      startCommand([
        ...words,
        '--json',
        ...['--folder', stack.folder],
        ...(['legacy', 'services', 'control'] as const).flatMap((name) => [
          `--${name}-url`,
          `mysql://127.0.0.1:${commandRelays[name].port}`,
        ]),
      ]),
    pidOf: (part) => until(`a running ${part}`, () => stack.pidOf(part), { msMax: answersMsMax }),
    answers: async (part) => {
      await until(
        `an answer of ${health[part]}`,
        async () => (await fetch(health[part], { signal: AbortSignal.timeout(2_000) })).ok,
        { msMax: answersMsMax },
      );
    },
    logs: () => {
      const run = join(stack.folder, 'run');
      return Object.fromEntries(
        readdirSync(run)
          .filter((file) => file.endsWith('.log'))
          .map((file) => [file.slice(0, -'.log'.length), readFileSync(join(run, file), 'utf8')]),
      );
    },
    [Symbol.asyncDispose]: async () => {
      await stack.stop();
      for (const relay of relays) await relay[Symbol.asyncDispose]();
      await Promise.all([legacy[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
    },
  };
}

/** Reviews are ready to change their owner. */
export async function prepare(house: House): Promise<void> {
  for (const words of [
    ['backfill', 'reviews'],
    ['backfill', 'wishlist'],
    ['verify', 'reviews'],
    ['fence', 'reviews', '--enforce', '--execute'],
    ['shift', 'reviews', '--reads', '100'],
  ]) {
    const { code, stdout, stderr } = await house.banyan(...words);
    if (code !== 0) throw new Error(`banyan ${words.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  }
}
