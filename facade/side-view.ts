// What both sides' servers say: who owns, what is held, how far the streams are. Both are asked together, a few times a second and
// at once when somebody wants to know. A side that cannot be read is a reading like any other.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Side } from '../capability/capability.ts';
import type { Reading, Readings } from '../capability/release.ts';
import type { ReadSide } from './own-writes.ts';
import type { SideConnection, SideLook } from './side-connection.ts';
import { WatchedSide } from './watched-side.ts';

export type SideStatus = { readonly reachable: boolean; readonly error: string | null };

export type Owner = { readonly side: Side; readonly epoch: bigint };

/** Told of every look. */
export type SideListener = {
  /** It begins now: what is asked from here on is answered by it. */
  begins(): void;
  ended(readings: (capability: string) => Readings): void;
  /** Whether somebody waits to write: then looks follow each other sooner. */
  isHolding(): boolean;
};

export type SideView = {
  /** A look that begins after the call; those who ask meanwhile share it. Never throws. */
  look(): Promise<void>;
  /** The same for what any client may ask for: not more often than each 20 ms. */
  refresh(): Promise<void>;
  /** By the fence row of the highest epoch that was ever read. Undefined before the first. */
  owner(capability: string): Owner | undefined;
  /** What was read of one side last; it may be old. */
  side(capability: string, side: Side): ReadSide;
  /** The latest that a side's clock can show now, microseconds since 1970; undefined when it was never read. */
  latest(side: Side): bigint | undefined;
  status(): Readonly<Record<Side, SideStatus>>;
  stop(): Promise<void>;
};

const pollMs = 200;
const heldPollMs = 40;
const refreshMsMin = 20;

const nothing: ReadSide = { epoch: 0n, passed: undefined };
/** Where a capability is not installed nothing can change hands: legacy owns. */
const notInstalled = { owner: 'legacy', epoch: 0n, turn: null } as const;

function readingOf(look: SideLook | undefined, capability: string): Reading {
  if (!look) return { is: 'unreachable' };
  return {
    is: 'read',
    hold: look.holds.get(capability),
    fence: look.fences.get(capability) ?? notInstalled,
  };
}

/** What is known of every capability, by looks that came and went. */
class Known {
  readonly #owners = new Map<string, Owner>();
  readonly #sides = { legacy: new Map<string, ReadSide>(), service: new Map<string, ReadSide>() };

  take(side: Side, { fences, passed }: SideLook): void {
    for (const [capability, { owner, epoch }] of fences) {
      this.#sides[side].set(capability, { epoch, passed: passed.get(capability) });
      const known = this.#owners.get(capability);
      if (!known || epoch > known.epoch) this.#owners.set(capability, { side: owner, epoch });
    }
  }

  owner = (capability: string): Owner | undefined => this.#owners.get(capability);
  side = (capability: string, side: Side): ReadSide => this.#sides[side].get(capability) ?? nothing;
}

/** Begins to look, and goes on until it is stopped. */
export function watchSides(
  connect: (side: Side) => Promise<SideConnection>,
  listener: SideListener,
  log: Logger,
): SideView {
  const watched = {
    legacy: new WatchedSide('legacy', () => connect('legacy'), log),
    service: new WatchedSide('service', () => connect('service'), log),
  };
  const known = new Known();
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let refreshing: Promise<void> | undefined;
  let begunAt = Number.NEGATIVE_INFINITY;
  const stopped = new AbortController();

  async function lookOnce(): Promise<void> {
    begunAt = performance.now();
    listener.begins();
    const [legacy, service] = await Promise.all([watched.legacy.read(), watched.service.read()]);
    if (legacy) known.take('legacy', legacy);
    if (service) known.take('service', service);
    listener.ended((capability) => ({
      legacy: readingOf(legacy, capability),
      service: readingOf(service, capability),
    }));
  }

  function start(): Promise<void> {
    next = undefined;
    running = lookOnce().finally(() => {
      running = undefined;
    });
    return running;
  }

  function look(): Promise<void> {
    if (stopped.signal.aborted) return Promise.resolve();
    if (next) return next;
    if (!running) return start();
    next = running.then(start);
    return next;
  }

  const pause = (ms: number) => delay(ms, undefined, { signal: stopped.signal }).catch(() => undefined);

  function refresh(): Promise<void> {
    if (refreshing) return refreshing;
    const early = begunAt + refreshMsMin - performance.now();
    if (early <= 0) return look();
    refreshing = pause(early).then(() => {
      refreshing = undefined;
      return look();
    });
    return refreshing;
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      await look();
      await pause(listener.isHolding() ? heldPollMs : pollMs);
    }
  }
  const polling = poll();

  const statusOf = ({ fault }: WatchedSide) => ({ reachable: fault === undefined, error: fault ?? null });
  return {
    look,
    refresh,
    owner: known.owner,
    side: known.side,
    latest: (side) => watched[side].clock.latest(performance.now()),
    status: () => ({ legacy: statusOf(watched.legacy), service: statusOf(watched.service) }),
    async stop() {
      stopped.abort();
      await Promise.all([watched.legacy.stop(), watched.service.stop()]);
      await polling;
    },
  };
}
