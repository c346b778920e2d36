// The instances of one upstream: which one is asked next, and which are left out for a while. Each has connections of its own.
import type { Logger } from 'pino';
import { Ejection, type EjectionLimits, mayEject } from './ejection.ts';
import type { Found } from './find-instances.ts';
import { checkHealth, Health, type HealthLimits } from './health.ts';
import type { Limits } from './limits.ts';
import { Pool } from './pool.ts';

export class Instance implements Found {
  readonly origin: string;
  readonly servername?: string;
  /** A small number that no other has at the same time: for metrics. */
  readonly slot: number;
  /** For clients' requests. */
  readonly pool: Pool;
  readonly ejection: Ejection;
  readonly health: Health | undefined;
  inFlight = 0;
  /** It is no longer named: it gets no new request, and ends with its last. */
  isLeaving = false;
  /** When an exchange was lost last, by performance.now(). */
  #lostAt = Number.NEGATIVE_INFINITY;
  #aside: Pool | undefined;
  readonly #limits: InstanceLimits;
  readonly #check: { stop(): void } | undefined;

  /** @param healthChanged its health has changed */
  constructor(
    { origin, servername }: Found,
    slot: number,
    limits: InstanceLimits,
    health: HealthLimits | undefined,
    healthChanged: (instance: Instance) => void,
  ) {
    this.origin = origin;
    this.slot = slot;
    this.#limits = limits;
    if (servername !== undefined) this.servername = servername;
    this.pool = new Pool(origin, limits, servername);
    this.ejection = new Ejection(limits);
    if (!health) return;
    const state = new Health(health);
    this.health = state;
    this.#check = checkHealth(this.aside, health, (isWell) => {
      if (state.saw(isWell)) healthChanged(this);
    });
  }

  /** For the facade's own questions, which must not wait behind the clients'. */
  get aside(): Pool {
    this.#aside ??= new Pool(this.origin, { ...this.#limits, upstreamConnectionsMax: 64 }, this.servername);
    return this.#aside;
  }

  isUp(nowMs: number): boolean {
    return !this.ejection.isOut(nowMs) && this.health?.isHealthy !== false;
  }

  /**
   * An exchange was lost. Those that end together, when a process dies, are one failure and not as many as were under way.
   * @returns whether it began before the last that was lost, and so says nothing new
   */
  lost(since: number, nowMs: number): boolean {
    if (since <= this.#lostAt) return true;
    this.#lostAt = nowMs;
    return false;
  }

  /** When nothing is under way any more. */
  async close(): Promise<void> {
    this.#check?.stop();
    await Promise.all([this.pool.close(), this.#aside?.close()]);
  }

  async destroy(): Promise<void> {
    this.#check?.stop();
    await Promise.all([this.pool.destroy(), this.#aside?.destroy()]);
  }
}

export type InstanceLimits = EjectionLimits & Pick<Limits, 'upstreamConnectionsMax' | 'connectMsMax'>;

export type InstanceStatus = {
  readonly instance: number;
  readonly origin: string;
  readonly up: boolean;
  /** By its health checks; null without them. */
  readonly healthy: boolean | null;
  /** How long it is still left out for its failures; 0: it is not. */
  readonly ejectedMs: number;
  readonly inFlight: number;
  readonly leaving: boolean;
};

export type InstancesDeps = {
  /** Of the upstream, for the log. */
  readonly name: string;
  readonly limits: InstanceLimits;
  readonly health: HealthLimits | undefined;
  readonly ejected: () => void;
  /** There may be room that there was not. */
  readonly changed: () => void;
  readonly log: Logger;
};

export class Instances {
  readonly #deps: InstancesDeps;
  #named: Instance[] = [];
  readonly #leaving = new Set<Instance>();
  #turn = 0;

  constructor(deps: InstancesDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#named.length;
  }

  /** Those that are new are there at once; those that are no longer named end what they have. */
  update(found: readonly Found[]): void {
    const before = new Map([...this.#named, ...this.#leaving].map((each) => [each.origin, each]));
    const slots = new Set([...before.values()].map(({ slot }) => slot));
    const named = found.map((each) => before.get(each.origin) ?? this.#create(each, slots));
    for (const instance of named) {
      instance.isLeaving = false;
      this.#leaving.delete(instance);
    }
    const kept = new Set(named);
    const gone = this.#named.filter((each) => !kept.has(each));
    this.#named = named;
    for (const instance of gone) {
      instance.isLeaving = true;
      this.#leaving.add(instance);
      this.#endWhenIdle(instance);
    }
    this.#deps.changed();
  }

  /**
   * The one with the least to do, of those that are up; of all, when none is. They take turns when they have as much.
   * @returns undefined when all are full, or there is none
   */
  choose(nowMs: number, except?: Instance): Instance | undefined {
    const named = this.#named;
    // A second attempt is nobody's turn.
    const from = except ? this.#turn : this.#turn++;
    let best: Instance | undefined;
    let isAnyUp = false;
    for (let i = 0; i < named.length; i++) {
      const instance = named[(from + i) % named.length];
      if (!instance?.isUp(nowMs)) continue;
      isAnyUp = true;
      if (instance !== except && this.#hasRoom(instance) && instance.inFlight < (best?.inFlight ?? Infinity))
        best = instance;
    }
    return isAnyUp ? best : this.#leastOfAll(from, except);
  }

  #leastOfAll(from: number, except: Instance | undefined): Instance | undefined {
    let best: Instance | undefined;
    for (let i = 0; i < this.#named.length; i++) {
      const instance = this.#named[(from + i) % this.#named.length];
      if (instance && instance !== except && this.#hasRoom(instance))
        if (instance.inFlight < (best?.inFlight ?? Infinity)) best = instance;
    }
    return best;
  }

  /** How an exchange with it ended. */
  saw(instance: Instance, isGood: boolean, nowMs: number): void {
    const { ejection } = instance;
    if (isGood) ejection.succeeded();
    if (isGood || !ejection.failed(nowMs) || instance.isLeaving) return;
    const out = this.#named.filter((each) => each.ejection.isOut(nowMs)).length;
    const { name, limits, ejected, log } = this.#deps;
    if (!mayEject(this.#named.length, out, limits.ejectPercentMax)) return;
    ejection.eject(nowMs);
    ejected();
    const forMs = Math.round(ejection.msLeft(nowMs));
    log.warn(
      { upstream: name, instance: instance.origin, forMs },
      'an instance is left out for its failures',
    );
  }

  /** One request less. */
  leave(instance: Instance): void {
    instance.inFlight -= 1;
    if (instance.isLeaving) this.#endWhenIdle(instance);
  }

  status(nowMs: number): InstanceStatus[] {
    return [...this.#named, ...this.#leaving].map((instance) => ({
      instance: instance.slot,
      origin: instance.origin,
      up: !instance.isLeaving && instance.isUp(nowMs),
      healthy: instance.health?.isHealthy ?? null,
      ejectedMs: Math.round(instance.ejection.msLeft(nowMs)),
      inFlight: instance.inFlight,
      leaving: instance.isLeaving,
    }));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#named, ...this.#leaving].map((each) => each.destroy()));
  }

  #hasRoom(instance: Instance): boolean {
    return instance.inFlight < this.#deps.limits.upstreamConnectionsMax;
  }

  #create(found: Found, slots: Set<number>): Instance {
    let slot = 0;
    while (slots.has(slot)) slot += 1;
    slots.add(slot);
    const { name, limits, health, changed, log } = this.#deps;
    return new Instance(found, slot, limits, health, (instance) => {
      const isHealthy = instance.health?.isHealthy ?? true;
      log[isHealthy ? 'info' : 'error'](
        { upstream: name, instance: instance.origin, isHealthy },
        'the health of an instance has changed',
      );
      changed();
    });
  }

  #endWhenIdle(instance: Instance): void {
    if (instance.inFlight > 0) return;
    this.#leaving.delete(instance);
    instance.close().catch((error) => {
      const { name, log } = this.#deps;
      log.error({ err: error, upstream: name }, 'the connections of an instance could not be closed');
    });
  }
}
