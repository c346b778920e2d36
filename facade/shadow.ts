// The shadow: when a client's read has been answered, the other side is asked the same, and both answers are compared. Nobody waits
// for it, and it never writes. It may do so much at a time and no more: what does not fit is dropped and counted.
import { EventEmitter } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type BanyanConfig, isMirrored, type ReadRoute } from '../capability/capability.ts';
import { type Standing, shadowInterlock } from '../capability/phase.ts';
import { atMostEach } from './answers.ts';
import { Capture } from './capture.ts';
import { Comparing, ShadowedRoute } from './comparing.ts';
import type { Found } from './find-instances.ts';
import type { Flags } from './flags.ts';
import { traceOf } from './headers.ts';
import type { Limits } from './limits.ts';
import type { Metrics, ShadowOutcome } from './metrics.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { Parity } from './parity.ts';
import type { Passage } from './passage.ts';
import type { Owner } from './side-view.ts';
import type { Tallies } from './tallies.ts';
import { whenOver } from './when-over.ts';

export type ShadowDeps = {
  readonly config: BanyanConfig;
  /** Where an upstream of the configuration is at present. */
  readonly place: (upstream: string) => Found | undefined;
  readonly flags: Pick<Flags, 'isOn' | 'proposedPercent'>;
  readonly standing: (capability: string) => Standing | undefined;
  /** Undefined as long as no fence was read. */
  readonly owner: (capability: string) => Owner | undefined;
  readonly parity: Parity;
  readonly tallies: Tallies;
  readonly limits: Limits;
  readonly metrics: Pick<Metrics, 'shadowed'>;
  readonly log: Logger;
};

export type Shadow = {
  /**
   * Whether this read is mirrored once it has been answered.
   * @returns what its answer must be told to; undefined for most
   */
  begin(
    request: FastifyRequest,
    reply: FastifyReply,
    passage: Passage,
    route: ReadRoute,
  ): Capture | undefined;
  stop(): Promise<void>;
};

const unread: Owner = { side: 'legacy', epoch: 0n };
/** How long a flag or a phase is believed. */
const lookMs = 250;
/** Answers that are kept while they go out, for each mirror that may be in flight: clients are slower than upstreams. */
const keptPerMirror = 4;

class Shadowing implements Shadow {
  readonly #deps: ShadowDeps;
  readonly #mirror: Mirror;
  readonly #comparing: Comparing;
  readonly #routes = new Map<ReadRoute, ShadowedRoute>();
  readonly #isTimeToLog = atMostEach(10_000);
  readonly #stop = new AbortController();
  /** Ends what is being asked. */
  readonly #stopped = new EventEmitter().setMaxListeners(0);
  /** Answers being kept. */
  #kept = 0;
  /** Requests being compared. */
  #mirroring = 0;
  #second = 0;
  #thisSecond = 0;

  constructor(deps: ShadowDeps) {
    const { config, place, limits } = deps;
    this.#deps = deps;
    const { manner, identity } = config.legacy;
    this.#mirror = createMirror(place, manner, identity?.cookie, limits, this.#stopped);
    this.#comparing = new Comparing({
      mirror: this.#mirror,
      parity: deps.parity,
      tallies: deps.tallies,
      log: deps.log,
      againMs: limits.shadowAgainMs,
      isOpen: (of) => this.#isOpen(of, performance.now()),
      stopped: this.#stop.signal,
    });
    // A validator made of the bytes makes the order of keys a part of the answer.
    for (const capability of config.capabilities)
      for (const route of capability.routes)
        if (isMirrored(route))
          this.#routes.set(route, new ShadowedRoute(capability, route, manner.etag !== 'none'));
  }

  begin(
    request: FastifyRequest,
    reply: FastifyReply,
    passage: Passage,
    route: ReadRoute,
  ): Capture | undefined {
    const of = this.#routes.get(route);
    if (!of || !this.#isOpen(of, passage.startedAt) || request.method !== 'GET') return undefined;
    const { id } = passage;
    if (id === undefined || !this.#deps.flags.isOn(of.flag, id)) return undefined;
    if (!this.#hasRoom(passage.startedAt)) {
      this.#count(of, 'dropped');
      return undefined;
    }
    this.#kept += 1;
    const capture = new Capture(this.#deps.limits.shadowBytesMax);
    const owner = this.#deps.owner(of.capability.name) ?? unread;
    whenOver(reply.raw, () => {
      this.#kept -= 1;
      if (!reply.raw.writableFinished) capture.leave();
      void this.#after(capture, request, passage, of, owner);
    });
    return capture;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#stopped.emit('close');
    await this.#mirror.stop();
  }

  #isOpen(of: ShadowedRoute, nowMs: number): boolean {
    if (nowMs - of.lookedAtMs > lookMs) {
      const { flags, standing } = this.#deps;
      of.lookedAtMs = nowMs;
      of.isOpen = flags.proposedPercent(of.flag) !== 0 && shadowInterlock(standing(of.capability.name)).open;
    }
    return of.isOpen;
  }

  #hasRoom(nowMs: number): boolean {
    const { shadowInFlightMax, shadowPerSecondMax } = this.#deps.limits;
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#thisSecond = 0;
    }
    if (
      this.#mirroring >= shadowInFlightMax ||
      this.#kept >= shadowInFlightMax * keptPerMirror ||
      this.#thisSecond >= shadowPerSecondMax
    )
      return false;
    this.#thisSecond += 1;
    return true;
  }

  #count({ capability, name }: ShadowedRoute, outcome: ShadowOutcome): void {
    this.#deps.metrics.shadowed(capability.name, name, outcome);
  }

  /** The client has its answer, or has left. Never rejects. */
  async #after(
    capture: Capture,
    { raw, headers }: FastifyRequest,
    { target, origin, trace }: Passage,
    of: ShadowedRoute,
    { side: owner, epoch }: Owner,
  ): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (this.#mirroring >= this.#deps.limits.shadowInFlightMax) return this.#count(of, 'dropped');
    this.#mirroring += 1;
    const subject = { capability: of.capability.name, route: of.name, epoch };
    try {
      const request = {
        path: target.path,
        query: target.query,
        rawHeaders: raw.rawHeaders,
        origin,
        headers: traceOf(headers, trace),
        trace,
      };
      this.#count(
        of,
        await this.#comparing.compare(capture, {
          of,
          request,
          subject,
          owner,
          ifNoneMatch: headers['if-none-match'],
        }),
      );
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#deps.parity.notCompared(subject);
      this.#count(of, 'failed');
      // Its name and nothing else: a message may hold what a client sent.
      if (this.#isTimeToLog(`failed ${of.name}`))
        this.#deps.log.warn(
          {
            capability: subject.capability,
            route: of.name,
            error: error instanceof Error ? error.name : 'unknown',
          },
          'a read could not be mirrored',
        );
    } finally {
      this.#mirroring -= 1;
    }
  }
}

export const createShadow = (deps: ShadowDeps): Shadow => new Shadowing(deps);
