// What ramps are played on: the sample, two more facades before a service that can be made to fail, and clients of both.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { expect } from 'vitest';
import {
  type RunningCommand,
  type RunningStack,
  stackFolder,
  startCommand,
  startStack,
} from '../story/stack.ts';
import { until } from '../sync/until.ts';
import { startBeside } from './beside-stack.ts';
import type { FacadeProcess } from './facade-process.ts';
import { type Front, startFront } from './front.ts';

export type Answer = Record<string, unknown>;

/** How fast a machine is that does other things, too, is not what ramps are about. */
export const hurried = ['--override', 'latency', '--reason', 'a test'];

export type RampStage = {
  readonly stack: RunningStack;
  /** Its database. */
  readonly services: Connection;
  readonly service: Front;
  readonly facades: readonly FacadeProcess[];
  /** The CLI, in JSON. */
  banyan(...words: string[]): Promise<{ code: number; said: Answer }>;
  /** What must end well. */
  done(...words: string[]): Promise<Answer>;
  /** Both facades let so many through. */
  isEverywhere(percent: number): Promise<boolean>;
  /** The newest of the audit. */
  newest(action: string): Promise<Answer>;
  startLoad(): Load;
  /** Has half of the reads at the service, and some of them answered. */
  half(): Promise<void>;
  /** A ramp that goes on, with half of the reads at the service, and some of them answered. */
  rampAtHalf(): Promise<RunningCommand>;
  /** From now on. @returns milliseconds until both facades serve nobody from the service */
  backAtLegacy(): Promise<number>;
  /** The service does well, nobody asks, and no ramp goes on. */
  rest(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

export type Load = {
  /** None of its reads may have failed. @returns how many there were */
  end(): Promise<number>;
};

/** Clients of all facades in turn, each request another of 200 people. */
function startLoad(facades: readonly FacadeProcess[]): Load & { stop(): void } {
  const failures: string[] = [];
  let [sent, isOver] = [0, false];
  const client = async (index: number) => {
    for (let turn = index; !isOver; turn += 8) {
      const id = Buffer.from(String((turn * 7) % 200).padStart(16, '0')).toString('base64url');
      const path = `/api/review/${turn % 3 === 0 ? 'summary' : 'list'}.do?prdNo=${1 + (turn % 6)}`;
      try {
        const response = await fetch(new URL(path, facades[turn % facades.length]?.url), {
          headers: { cookie: `banyan_id=${id}` },
        });
        const body = (await response.json()) as { resultCode?: string };
        if (response.status !== 200 || body.resultCode !== '0000')
          failures.push(`${path} ${response.status} ${JSON.stringify(body).slice(0, 80)}`);
      } catch (error) {
        failures.push(`${path} ${String(error)}`);
      }
      sent += 1;
      await delay(20);
    }
  };
  const clients = Array.from({ length: 8 }, (_, index) => client(index));
  const stop = () => {
    isOver = true;
  };
  return {
    stop,
    async end() {
      stop();
      await Promise.all(clients);
      expect(failures).toEqual([]);
      return sent;
    },
  };
}

async function effectivePercent(facade: FacadeProcess): Promise<number> {
  const status = (await (await facade.ask('/api/status')).json()) as {
    capabilities: readonly { name: string; effectivePercent: number }[];
  };
  const found = status.capabilities.find(({ name }) => name === 'reviews');
  if (!found) throw new Error('the facade knows reviews');
  return found.effectivePercent;
}

/** A few reads are enough for a step: how many there are in a second is the machine's affair. */
const configText = `import config from ${JSON.stringify(join(import.meta.dirname, '..', '..', 'banyan.config.ts'))};
export default { ...config, capabilities: config.capabilities.map((each) => ({ ...each, analysis: { samplesMin: 5, comparedMin: 5 } })) };
`;

/** The data is there, and right, and all reads are mirrored; nothing is read from the service. */
export async function startRampStage(): Promise<RampStage> {
  await using starting = new AsyncDisposableStack();
  const folder = stackFolder();
  const config = join(folder, 'banyan.config.ts');
  writeFileSync(config, configText);
  const stack = starting.use(await startStack(['--reviews', '300', '--config', config], folder));
  const services = starting.adopt(await createConnection(stack.databases.services), (sql) => sql.destroy());
  const service = starting.use(await startFront(stack.services.reviews ?? ''));
  const beside = starting.use(await startBeside(stack));
  const facades = [
    await beside.startFacade([service.url], config),
    await beside.startFacade([service.url], config),
  ];
  const commands: RunningCommand[] = [];
  const loads: { stop(): void }[] = [];

  const banyan: RampStage['banyan'] = async (...words) => {
    const { code, stdout, stderr } = await stack.banyan(...words, '--json', '--config', config);
    if (stdout === '') throw new Error(`${words.join(' ')}: ${code} ${stderr}`);
    return { code, said: JSON.parse(stdout) };
  };
  const done: RampStage['done'] = async (...words) => {
    const { code, said } = await banyan(...words);
    if (code !== 0) throw new Error(`${words.join(' ')}: ${code} ${JSON.stringify(said)}`);
    return said;
  };
  const isEverywhere: RampStage['isEverywhere'] = async (percent) =>
    (await Promise.all(facades.map(effectivePercent))).every((found) => found === percent);
  const halfServed = async () => {
    await until('both facades to serve 50 %', () => isEverywhere(50));
    const before = service.asked();
    await until('reads of the service', () => service.asked() > before + 30);
  };

  for (const words of [
    ['backfill', 'reviews'],
    ['verify', 'reviews'],
    ['shift', 'reviews', '--shadow', '100'],
  ])
    await done(...words);
  const all = starting.move();
  return {
    stack,
    services,
    service,
    facades,
    banyan,
    done,
    isEverywhere,
    async newest(action) {
      const { audit } = await done('audit', 'reviews');
      const found = Array.isArray(audit) ? audit.find((each) => each.action === action) : undefined;
      return found ?? {};
    },
    startLoad() {
      const load = startLoad(facades);
      loads.push(load);
      return load;
    },
    async half() {
      await done('shift', 'reviews', '--reads', '50');
      await halfServed();
    },
    async rampAtHalf() {
      const words = ['ramp', 'reviews', '--steps', '50,100', '--every', '30s', '--execute', '--json'];
      const ramp = startCommand([...words, '--config', config, '--folder', stack.folder]);
      commands.push(ramp);
      await halfServed();
      return ramp;
    },
    async backAtLegacy() {
      const began = performance.now();
      await until('the reads to be back on legacy', () => isEverywhere(0), { msMax: 15_000 });
      return performance.now() - began;
    },
    rest() {
      service.becomes('well');
      for (const command of commands.splice(0)) command.kill('SIGKILL');
      for (const load of loads.splice(0)) load.stop();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
