// What is done to the stack while its owner changes. Each is over when its function returns: what was stopped goes on, what was
// killed is there again and answers.
import { setTimeout as delay } from 'node:timers/promises';
import type { Relay } from '../test/relay.ts';
import type { RunningCommand } from '../test/story/stack.ts';
import { until } from '../test/sync/until.ts';
import type { House, Part } from './house.ts';
import type { Need } from './incidents.ts';
import type { Side } from './sides.ts';

export type Stage = {
  readonly house: House;
  /** The command that is at work; undefined when none is. */
  readonly command: RunningCommand | undefined;
  /** From this moment. @returns to be called when all is well again */
  readonly begins: (hits: readonly Need[]) => () => void;
};

/** @param lastingMs how long it lasts, if it lasts */
export type StackFault = (stage: Stage, lastingMs: number) => Promise<void>;

const databaseOf: Readonly<Record<Side, Need>> = {
  legacy: 'legacy database',
  service: 'services database',
};

const needed = (part: Part): readonly Need[] => (part === 'worker' ? [] : [part]);

const killed =
  (part: Part): StackFault =>
  async ({ house, begins }) => {
    const pid = await house.pidOf(part);
    const over = begins(needed(part));
    process.kill(pid, 'SIGKILL');
    await until(
      `another ${part}`,
      () => {
        const now = house.stack.pidOf(part);
        return now !== undefined && now !== pid;
      },
      { msMax: 60_000 },
    );
    await house.answers(part);
    over();
  };

const frozen =
  (part: Part): StackFault =>
  async ({ house, begins }, lastingMs) => {
    const pid = await house.pidOf(part);
    const over = begins(needed(part));
    process.kill(pid, 'SIGSTOP');
    await delay(lastingMs);
    process.kill(pid, 'SIGCONT');
    await house.answers(part);
    over();
  };

/** Whoever uses it, too. */
const answersAgain = async (house: House, side: Side) => {
  await until('an answer of the server', () => house.servers[side].query('SELECT 1'));
  await house.answers('monolith');
  await house.answers('reviews');
};

const serverKilled =
  (side: Side): StackFault =>
  async ({ house, begins }, lastingMs) => {
    const over = begins([databaseOf[side]]);
    await house.servers[side].crash();
    await delay(lastingMs);
    await house.servers[side].start();
    await answersAgain(house, side);
    over();
  };

const serverFrozen =
  (side: Side): StackFault =>
  async ({ house, begins }, lastingMs) => {
    const over = begins([databaseOf[side]]);
    house.servers[side].pause();
    await delay(lastingMs);
    house.servers[side].resume();
    await answersAgain(house, side);
    over();
  };

/** For all parts; the command has its own connections. */
const serverCutOff =
  (side: Side, how: 'refuse' | 'stall'): StackFault =>
  async ({ house, begins }, lastingMs) => {
    const { relay } = house.servers[side];
    const over = begins([databaseOf[side]]);
    relay[how]();
    await delay(lastingMs);
    if (how === 'refuse') relay.accept();
    else relay.resume();
    await answersAgain(house, side);
    over();
  };

async function refused(relays: readonly Relay[], lastingMs: number): Promise<void> {
  for (const relay of relays) relay.refuse();
  await delay(lastingMs);
  for (const relay of relays) relay.accept();
}

async function stalled(relays: readonly Relay[], lastingMs: number): Promise<void> {
  for (const relay of relays) relay.stall();
  await delay(lastingMs);
  for (const relay of relays) relay.resume();
}

export const stackFaults = {
  'command killed': async ({ command }, lastingMs) => {
    command?.kill('SIGKILL');
    await delay(lastingMs);
  },
  'command frozen': async ({ command }, lastingMs) => {
    command?.kill('SIGSTOP');
    await delay(lastingMs);
    command?.kill('SIGCONT');
  },
  'command cut off': ({ house }, lastingMs) => refused(Object.values(house.commandRelays), lastingMs),
  'command stalled': ({ house }, lastingMs) => stalled(Object.values(house.commandRelays), lastingMs),
  'control store cut off': ({ house }, lastingMs) =>
    refused([house.control, house.commandRelays.control], lastingMs),
  'worker killed': killed('worker'),
  'worker frozen': frozen('worker'),
  'first facade killed': killed('facade'),
  'second facade killed': killed('facade-2'),
  'first facade frozen': frozen('facade'),
  'second facade frozen': frozen('facade-2'),
  'monolith killed': killed('monolith'),
  'monolith frozen': frozen('monolith'),
  'service killed': killed('reviews'),
  'service frozen': frozen('reviews'),
  'legacy server killed': serverKilled('legacy'),
  'services server killed': serverKilled('service'),
  'legacy server frozen': serverFrozen('legacy'),
  'services server frozen': serverFrozen('service'),
  'legacy server cut off': serverCutOff('legacy', 'refuse'),
  'services server cut off': serverCutOff('service', 'refuse'),
  'legacy server stalled': serverCutOff('legacy', 'stall'),
  'services server stalled': serverCutOff('service', 'stall'),
} as const satisfies Readonly<Record<string, StackFault>>;

export type StackFaultKind = keyof typeof stackFaults;
export const stackFaultKinds: readonly StackFaultKind[] = Object.keys(stackFaults).filter(
  (name): name is StackFaultKind => Object.hasOwn(stackFaults, name),
);
