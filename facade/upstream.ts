// The way to one upstream: its breaker, its instances, and how much may be under way there. Who finds no room waits for a moment, in
// order; who may not go on is told why, and nothing was sent.
import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { Breaker, type BreakerLimits, type BreakerState, type Verdict } from './breaker.ts';
import { type Deadline, Deadlines, type Waiter } from './deadlines.ts';
import type { Found } from './find-instances.ts';
import type { HealthLimits } from './health.ts';
import { type Instance, type InstanceLimits, type InstanceStatus, Instances } from './instances.ts';
import { Line, type Place } from './line.ts';
import type { Pool } from './pool.ts';

/** How an exchange ended. */
export type Outcome =
  /** An answer below 500. */
  | 'answered'
  /** An answer of 500 or more. */
  | 'error'
  /** An answer that calls itself an error, whatever its status. */
  | 'said-error'
  /** No connection, or it ended before the answer. */
  | 'lost'
  /** No answer in time. */
  | 'late'
  /** Nothing about the upstream: its client left, or the answer was of no use to us. */
  | 'unknown';

export type TurnedAway = {
  readonly is: 'turned-away';
  /** The breaker is open; as much waits as may, or it has waited for too long; nobody knows an instance; its client has left. */
  readonly why: 'breaker' | 'busy' | 'nowhere' | 'gone';
};

const turnedAway = {
  breaker: { is: 'turned-away', why: 'breaker' },
  busy: { is: 'turned-away', why: 'busy' },
  nowhere: { is: 'turned-away', why: 'nowhere' },
  gone: { is: 'turned-away', why: 'gone' },
} as const satisfies Record<string, TurnedAway>;

export type UpstreamLimits = BreakerLimits &
  InstanceLimits & {
    readonly upstreamInFlightMax: number;
    readonly upstreamQueueMax: number;
    readonly upstreamQueueMsMax: number;
  };

export type UpstreamEvents = {
  turnedAway(upstream: string, why: TurnedAway['why']): void;
  ejected(upstream: string): void;
  breakerTurned(upstream: string, to: BreakerState): void;
};

export type UpstreamDeps = {
  readonly name: string;
  /** Whether its answers count for the breaker. Where they are passed on as they are only silence does: an error of one page must
   * not close all the others. */
  readonly errorsCount: boolean;
  readonly limits: UpstreamLimits;
  readonly health: HealthLimits | undefined;
  readonly events: UpstreamEvents;
  readonly log: Logger;
  /** Why its instances could not be had. */
  readonly fault?: () => string | undefined;
  readonly random?: () => number;
};

export type Turn = { readonly at: string; readonly to: BreakerState; readonly why: string };

export type UpstreamStatus = {
  readonly name: string;
  readonly breaker: {
    readonly state: BreakerState;
    /** Why it opened last; null: it never has. */
    readonly why: string | null;
    readonly openMsLeft: number;
    /** The newest last. */
    readonly turns: readonly Turn[];
  };
  readonly inFlight: number;
  readonly waiting: number;
  /** Why its instances could not be had; null when all is well. */
  readonly fault: string | null;
  readonly instances: readonly InstanceStatus[];
};

const turnsMax = 20;

/** A place at an instance, for one exchange. */
export class Lease {
  readonly instance: Instance;
  readonly #upstream: Upstream;
  /** The breaker's. */
  readonly permit: number;
  /** By performance.now() */
  readonly since: number;
  #isOver = false;

  constructor(upstream: Upstream, instance: Instance, permit: number, since: number) {
    this.#upstream = upstream;
    this.instance = instance;
    this.permit = permit;
    this.since = since;
  }

  get pool(): Pool {
    return this.instance.pool;
  }

  /** To be called in any case; what is said later than first does not count. */
  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#upstream.leave(this, outcome);
  }
}

export type Entry = Lease | TurnedAway;

class Waiting implements Waiter {
  readonly #client: EventEmitter | undefined;
  readonly #upstream: Upstream;
  readonly #resolve: (entry: Entry) => void;
  readonly #gone = () => this.#upstream.turnAway(this, turnedAway.gone);
  place: Place<Waiting> | undefined;
  deadline: Deadline | undefined;

  constructor(upstream: Upstream, client: EventEmitter | undefined, resolve: (entry: Entry) => void) {
    this.#upstream = upstream;
    this.#client = client;
    this.#resolve = resolve;
    client?.once('close', this.#gone);
  }

  late(): void {
    this.#upstream.turnAway(this, turnedAway.busy);
  }

  settle(entry: Entry): void {
    this.deadline?.leave();
    this.#client?.off('close', this.#gone);
    this.#resolve(entry);
  }
}

export class Upstream {
  readonly name: string;
  readonly #deps: UpstreamDeps;
  readonly #breaker: Breaker;
  readonly #instances: Instances;
  readonly #waiting = new Line<Waiting>();
  readonly #deadlines: Deadlines;
  readonly #turns: Turn[] = [];
  #inFlight = 0;

  constructor(deps: UpstreamDeps) {
    const { name, limits, health, events, log } = deps;
    this.name = name;
    this.#deps = deps;
    this.#breaker = new Breaker(limits, deps.random ?? Math.random);
    this.#deadlines = new Deadlines(limits.upstreamQueueMsMax);
    this.#instances = new Instances({
      name,
      limits,
      health,
      ejected: () => events.ejected(name),
      changed: () => this.#letIn(),
      log,
    });
  }

  update(found: readonly Found[]): void {
    this.#instances.update(found);
  }

  /** @param client whose leaving frees its place while it waits */
  enter(client?: EventEmitter): Entry | Promise<Entry> {
    // Not before those who wait already.
    const entry = this.#waiting.size === 0 ? this.#tryEnter() : 'full';
    if (entry !== 'full') return entry;
    if (this.#waiting.size >= this.#deps.limits.upstreamQueueMax) return this.#refuse(turnedAway.busy);
    const { promise, resolve } = Promise.withResolvers<Entry>();
    const waiting = new Waiting(this, client, resolve);
    waiting.place = this.#waiting.join(waiting);
    waiting.deadline = this.#deadlines.begin(waiting);
    return promise;
  }

  /**
   * A place at another instance, for what has certainly not been executed, or may be executed twice. Nobody waits for it.
   * @param after has ended
   */
  enterElsewhere(after: Lease): Lease | undefined {
    const entry = this.#tryEnter(after.instance);
    return entry instanceof Lease ? entry : undefined;
  }

  /** An instance for a question of the facade's own, which does not count. */
  instanceAside(except?: Instance): Instance | undefined {
    return this.#instances.choose(performance.now(), except);
  }

  /** How such a question ended. */
  sawAside(instance: Instance, isGood: boolean): void {
    this.#instances.saw(instance, isGood, performance.now());
  }

  leave(lease: Lease, outcome: Outcome): void {
    const nowMs = performance.now();
    const { instance, permit } = lease;
    this.#inFlight -= 1;
    const isNews = outcome !== 'unknown' && !(outcome === 'lost' && instance.lost(lease.since, nowMs));
    if (isNews) this.#instances.saw(instance, outcome === 'answered' || outcome === 'said-error', nowMs);
    this.#instances.leave(instance);
    const turned = this.#breaker.ended(permit, isNews ? this.#verdictOf(outcome) : 'unknown', nowMs);
    if (turned !== undefined) this.#turned(turned);
    if (this.#waiting.size > 0) this.#letIn();
  }

  turnAway(waiting: Waiting, why: TurnedAway): void {
    if (waiting.place?.leave()) waiting.settle(this.#refuse(why));
  }

  status(): UpstreamStatus {
    const nowMs = performance.now();
    return {
      name: this.name,
      breaker: {
        state: this.#breaker.stateAt(nowMs),
        why: this.#breaker.why || null,
        openMsLeft: Math.round(this.#breaker.openMsLeft(nowMs)),
        turns: [...this.#turns],
      },
      inFlight: this.#inFlight,
      waiting: this.#waiting.size,
      fault: this.#deps.fault?.() ?? null,
      instances: this.#instances.status(nowMs),
    };
  }

  async stop(): Promise<void> {
    this.#turnAwayAll(turnedAway.busy);
    this.#deadlines.stop();
    await this.#instances.stop();
  }

  #verdictOf(outcome: Outcome): Verdict {
    const isSilence = outcome === 'lost' || outcome === 'late';
    return outcome === 'answered' || !(isSilence || this.#deps.errorsCount) ? 'good' : 'bad';
  }

  #tryEnter(except?: Instance): Entry | 'full' {
    const nowMs = performance.now();
    if (this.#breaker.stateAt(nowMs) === 'open') return this.#refuse(turnedAway.breaker);
    if (this.#inFlight >= this.#deps.limits.upstreamInFlightMax) return 'full';
    const instance = this.#instances.choose(nowMs, except);
    if (!instance) return this.#instances.size === 0 ? this.#refuse(turnedAway.nowhere) : 'full';
    const permit = this.#breaker.admit(nowMs);
    if (permit === 0) return this.#refuse(turnedAway.breaker);
    this.#inFlight += 1;
    instance.inFlight += 1;
    return new Lease(this, instance, permit, nowMs);
  }

  /** Those who wait go in their order, as far as there is room. */
  #letIn(): void {
    for (let first = this.#waiting.first; first; first = this.#waiting.first) {
      const entry = this.#tryEnter();
      if (entry === 'full') return;
      first.leave();
      first.of.settle(entry);
    }
  }

  #turnAwayAll(why: TurnedAway): void {
    while (this.#waiting.first) this.turnAway(this.#waiting.first.of, why);
  }

  #refuse(why: TurnedAway): TurnedAway {
    this.#deps.events.turnedAway(this.name, why.why);
    return why;
  }

  #turned(to: BreakerState): void {
    const { events, log } = this.#deps;
    const why = to === 'open' ? this.#breaker.why : 'its probes succeeded';
    this.#turns.push({ at: new Date().toISOString(), to, why });
    if (this.#turns.length > turnsMax) this.#turns.shift();
    events.breakerTurned(this.name, to);
    log[to === 'open' ? 'error' : 'info']({ upstream: this.name, to, why }, 'a breaker has turned');
    if (to === 'open') this.#turnAwayAll(turnedAway.breaker);
  }
}
