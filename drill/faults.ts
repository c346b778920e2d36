// What is done to processes, servers and connections while writers write. Each is over when its function returns: whatever
// was stopped goes on, whatever was killed is there again; whether anybody has recovered is not waited for.
import { setTimeout as delay } from 'node:timers/promises';
import type { Outages } from './outages.ts';
import type { Side, Sides } from './sides.ts';
import type { Workers } from './workers.ts';

export type Scene = {
  readonly sides: Sides;
  readonly workers: Workers;
  readonly outages: Outages;
  /** Resolves after so many more acknowledged writes. */
  readonly moreWrites: (count: number) => Promise<void>;
};

/** @param lastingWrites how long a fault lasts that lasts, in acknowledged writes */
type Fault = (scene: Scene, lastingWrites: number) => Promise<void>;

// While the legacy server is frozen nobody's writes are acknowledged: this one is by the clock.
const frozenMs = 1_500;
const commitMsMax = 60_000;

async function crash({ sides, outages }: Scene, side: Side): Promise<void> {
  const over = outages.begin(side);
  await sides.server(side).crash();
  await sides.server(side).start();
  over();
}

async function freeze({ sides }: Scene, side: Side, lasting: () => Promise<void>): Promise<void> {
  const server = sides.server(side);
  server.pause();
  try {
    await lasting();
  } finally {
    server.resume();
  }
}

const cut =
  (...of: Side[]): Fault =>
  async ({ sides, moreWrites }) => {
    for (const side of of) sides.server(side).relay.cut();
    await moreWrites(5);
    // Those that were made anew, too.
    for (const side of of) sides.server(side).relay.cut();
  };

const stall =
  (side: Side, end: 'resume' | 'cut'): Fault =>
  async ({ sides, moreWrites }, lastingWrites) => {
    const { relay } = sides.server(side);
    relay.stall();
    try {
      await moreWrites(lastingWrites);
      if (end === 'cut') relay.cut();
    } finally {
      relay.resume();
    }
  };

const halfClose =
  (side: Side): Fault =>
  async ({ sides, moreWrites }, lastingWrites) => {
    sides.server(side).relay.halfClose();
    await moreWrites(lastingWrites);
  };

const refuse =
  (side: Side): Fault =>
  async ({ sides, moreWrites }, lastingWrites) => {
    const { relay } = sides.server(side);
    relay.refuse();
    try {
      await moreWrites(lastingWrites);
    } finally {
      relay.accept();
    }
  };

/** The connection is lost at the very COMMIT: before the server has it, or after. */
async function loseOne({ sides, moreWrites }: Scene, lose: 'answer' | 'request'): Promise<void> {
  const rest = new AbortController();
  const lost = sides.service.relay.loseAt('COMMIT', lose).finally(() => rest.abort());
  const tooLong = delay(commitMsMax, undefined, { signal: rest.signal }).then(
    () => Promise.reject(new Error('no COMMIT passed the relay to the service: no stream applies')),
    () => undefined,
  );
  await Promise.all([Promise.race([lost, tooLong]), moreWrites(5)]);
}

/** Some times, because it may be any stream's, and one that has written no rows. */
const loseCommit =
  (lose: 'answer' | 'request'): Fault =>
  async (scene) => {
    for (let times = 0; times < 12; times++) await loseOne(scene, lose);
  };

export const faults = {
  'worker killed': async ({ workers }) => {
    await workers.killFirst();
    await workers.start();
  },
  'worker killed, a second one waits': async ({ workers, moreWrites }, lastingWrites) => {
    const before = await workers.holders();
    await workers.start();
    await workers.killFirst();
    await moreWrites(lastingWrites);
    await workers.successor(before);
  },
  'worker frozen': async ({ workers, moreWrites }, lastingWrites) => {
    workers.first.signal('SIGSTOP');
    await moreWrites(lastingWrites);
    workers.first.signal('SIGCONT');
  },
  'worker frozen, a second one takes over': async ({ workers, moreWrites }, lastingWrites) => {
    const before = await workers.holders();
    await workers.start();
    workers.first.signal('SIGSTOP');
    await workers.successor(before);
    await moreWrites(lastingWrites);
    workers.first.signal('SIGCONT');
    await moreWrites(lastingWrites);
    await workers.killFirst();
  },
  'legacy server killed': (scene) => crash(scene, 'legacy'),
  'service server killed': (scene) => crash(scene, 'service'),
  'legacy server frozen': (scene) => freeze(scene, 'legacy', () => delay(frozenMs)),
  'service server frozen': (scene, lastingWrites) =>
    freeze(scene, 'service', () => scene.moreWrites(lastingWrites)),
  'legacy connections cut': cut('legacy'),
  'service connections cut': cut('service'),
  'all connections cut': cut('legacy', 'service'),
  'legacy connections stalled': stall('legacy', 'resume'),
  'service connections stalled': stall('service', 'resume'),
  'legacy connections stalled, then cut': stall('legacy', 'cut'),
  'service connections stalled, then cut': stall('service', 'cut'),
  'legacy connections half closed': halfClose('legacy'),
  'service connections half closed': halfClose('service'),
  'legacy connections refused': refuse('legacy'),
  'service connections refused': refuse('service'),
  'answer to a COMMIT lost': loseCommit('answer'),
  'COMMIT lost': loseCommit('request'),
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultKind = keyof typeof faults;
export const faultKinds: readonly FaultKind[] = Object.keys(faults).filter((name): name is FaultKind =>
  Object.hasOwn(faults, name),
);
