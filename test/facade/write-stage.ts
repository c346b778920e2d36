// Two servers with their fences, upstreams in the tests' hand, and replicas that end with their test: what the suites of writes that wait,
// and of writes that are sent, have in common.
import { type ClientRequest, request } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Side } from '../../capability/capability.ts';
import * as fence from '../../capability/fence.ts';
import { until } from '../sync/until.ts';
import { type Replica, type Sides, startReplica, startSides, startUpstream, type Upstream } from './sides.ts';

export const reviews = 'reviews';
const form = { 'content-type': 'application/x-www-form-urlencoded' };

class WriteStage {
  sides!: Sides;
  legacy!: Upstream;
  service!: Upstream;
  #replicas: Replica[] = [];
  #number = 100n;

  async begin(): Promise<void> {
    await this.sides.reset(['reviews', 'orders']);
    this.legacy = await startUpstream('legacy');
    this.service = await startUpstream('service');
  }

  async end(): Promise<void> {
    this.legacy.letGo();
    this.service.letGo();
    await Promise.all(this.#replicas.map((each) => each[Symbol.asyncDispose]()));
    this.#replicas = [];
    await this.legacy[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
  }

  async replica(...words: string[]): Promise<Replica> {
    const started = await startReplica(this.sides, this, words);
    this.#replicas.push(started);
    return started;
  }

  /** One that has registered, looked, and sends. */
  async running(...words: string[]): Promise<Replica> {
    const started = await this.replica(...words);
    await started.started;
    expect(state(started)).toMatchObject({ state: 'sending' });
    return started;
  }

  /** @returns its number, which no other has had */
  async hold(side: Side = 'legacy', seconds = 4): Promise<bigint> {
    this.#number += 1n;
    const held = await fence.hold(this.sides.on[side], reviews, this.#number, seconds);
    expect(held).toEqual({ is: 'rows', rows: 1 });
    return this.#number;
  }

  /** As after a change of owner, at epoch 2. */
  async serviceOwns(): Promise<void> {
    for (const side of [this.sides.legacy, this.sides.service])
      await side.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  }
}

/** For a suite, of which each test begins with legacy as owner at epoch 1. */
export function useWriteStage(): WriteStage {
  const on = new WriteStage();
  beforeAll(async () => {
    on.sides = await startSides();
  });
  afterAll(() => on.sides?.[Symbol.asyncDispose]());
  beforeEach(() => on.begin());
  afterEach(() => on.end());
  return on;
}

export const state = ({ owners }: Replica, capability = reviews) => owners.writes.status(capability);

export const write = ({ url }: Replica, path = '/api/review/write.do', body = 'a=1') =>
  fetch(url + path, { method: 'POST', headers: form, body });

export const isHolding = (one: Replica, held: number) =>
  until(`${held} held`, () => state(one)?.held === held && state(one)?.state !== 'sending');

/** A request of which the test sends the body, and which it may leave. */
export function slowly(one: Replica, path: string, length: number): ClientRequest {
  const sent = request(one.url + path, { method: 'POST', headers: { ...form, 'content-length': length } });
  sent.on('error', () => undefined);
  sent.flushHeaders();
  return sent;
}
