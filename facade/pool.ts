// Connections to one origin. Who was used last is used next: a few stay warm, and the others end. Bounded, and so are those who wait.
import { type AnswerHandler, type Asked, Call, type Dispatch } from './call.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { type Deadline, Deadlines } from './deadlines.ts';
import { Dial } from './dial.ts';
import { UpstreamError } from './errors.ts';
import type { Limits } from './limits.ts';
import { Line } from './line.ts';

/** An unused connection is kept for so long, where the upstream does not say for how long it keeps it. */
const freeMsUsual = 4_000;
const freeMsMax = 60_000;
/** Sooner than the upstream's own clock: else a request may go out as the connection ends. */
const marginMs = 1_000;
const sweepMs = 1_000;
const waitsMax = 1_024;

const stopped = () => new UpstreamError('upstream_unavailable', 'the connections to the upstream are closed');

export class Pool implements Dispatch, ConnectionOwner {
  readonly #dial: Dial;
  readonly #host: string;
  readonly #connectionsMax: number;
  readonly #deadlines: Deadlines;
  readonly #waits = new Line<Call>();
  readonly #all = new Set<Connection>();
  /** Used last is last. */
  readonly #free: Connection[] = [];
  /** Have had their answer since the event loop has last asked the system for news. */
  #answered: Connection[] = [];
  /** Have had it before that. */
  #rested: Connection[] = [];
  readonly #wake = () => {
    const rested = this.#rested;
    this.#rested = this.#answered;
    this.#answered = [];
    if (this.#rested.length > 0) setImmediate(this.#wake);
    for (const connection of rested) if (this.#all.has(connection)) this.#offer(connection);
    this.#grow();
  };
  readonly #connecting = new Map<Connection, Deadline>();
  #sweep: NodeJS.Timeout | undefined;
  #closing: PromiseWithResolvers<void> | undefined;

  /** @param servername what a certificate must name, where the origin is an address */
  constructor(
    origin: string,
    limits: Pick<Limits, 'upstreamConnectionsMax' | 'connectMsMax'>,
    servername?: string,
  ) {
    this.#dial = new Dial(origin, servername);
    this.#host = new URL(origin).host;
    this.#connectionsMax = limits.upstreamConnectionsMax;
    this.#deadlines = new Deadlines(limits.connectMsMax);
  }

  dispatch(asked: Asked, handler: AnswerHandler): void {
    let call: Call;
    try {
      call = new Call(asked, handler, this.#host);
    } catch (error) {
      const never = { rawHeaders: [], pause() {}, resume() {}, abort() {}, giveBack() {} };
      handler.onResponseError(never, error instanceof Error ? error : new Error(String(error)));
      return;
    }
    handler.onRequestStart(call);
    if (!call.isOver) this.#place(call);
  }

  /** What is under way goes on to its end. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    this.#dropFree();
    this.#endWhenEmpty();
    return this.#closing.promise;
  }

  destroy(): Promise<void> {
    const closed = this.close();
    while (this.#waits.first) this.#waits.first.of.abort(stopped());
    for (const connection of this.#all) connection.fail(stopped());
    return closed;
  }

  free(connection: Connection): void {
    if (this.#connecting.has(connection)) {
      this.#hasConnected(connection);
      this.#offer(connection);
      return;
    }
    // Many a server ends a connection with its answer, and does not say so; a broken one sends more than the answer. That has often come
    // already, and is read first: libuv takes what there is of a socket, and learns of its end when it next asks the system. An
    // immediate runs before that, and one that was set by it after.
    this.#answered.push(connection);
    if (this.#answered.length + this.#rested.length === 1) setImmediate(this.#wake);
  }

  #offer(connection: Connection): void {
    const next = this.#waits.first;
    if (next) {
      next.leave();
      connection.send(next.of);
    } else if (this.#closing) connection.fail(stopped());
    else {
      connection.freeSince = performance.now();
      this.#free.push(connection);
      this.#sweep ??= setInterval(() => this.#dropOld(), sweepMs).unref();
    }
  }

  gone(connection: Connection, error?: UpstreamError): void {
    this.#hasConnected(connection);
    this.#all.delete(connection);
    const at = this.#free.lastIndexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    if (error) this.#waits.first?.of.abort(error);
    this.#grow();
    this.#endWhenEmpty();
  }

  again(call: Call): void {
    // The others have been unused for longer than this one was.
    this.#dropFree();
    this.#place(call);
  }

  #place(call: Call): void {
    for (let connection = this.#free.pop(); connection; connection = this.#free.pop()) {
      // Its time may be over without the clock having come round: whoever was busy for long is late with everything.
      if (this.#isFresh(connection, performance.now())) {
        connection.send(call);
        return;
      }
      connection.fail(stopped());
    }
    if (this.#closing) call.abort(stopped());
    else if (this.#waits.size >= waitsMax)
      call.abort(new UpstreamError('upstream_busy', 'too many wait for a connection'));
    else {
      call.place = this.#waits.join(call);
      this.#grow();
    }
  }

  /** As many connections are opened as are waited for, beside those that will be free in a moment. */
  #grow(): void {
    const needed = this.#waits.size - this.#answered.length - this.#rested.length;
    while (this.#connecting.size < needed && this.#all.size < this.#connectionsMax) {
      const connection = new Connection(this.#dial, this);
      this.#connecting.set(connection, this.#deadlines.begin(connection));
      this.#all.add(connection);
    }
  }

  /** Or has failed to. */
  #hasConnected(connection: Connection): void {
    this.#connecting.get(connection)?.leave();
    this.#connecting.delete(connection);
  }

  #isFresh({ freeSince, keptMs }: Connection, nowMs: number): boolean {
    const forMs = keptMs < 0 ? freeMsUsual : Math.min(keptMs - Math.min(marginMs, keptMs / 2), freeMsMax);
    return nowMs - freeSince < forMs;
  }

  #dropOld(): void {
    const nowMs = performance.now();
    for (const connection of [...this.#free])
      if (!this.#isFresh(connection, nowMs)) connection.fail(stopped());
    this.#restSweep();
  }

  #dropFree(): void {
    for (const connection of this.#free.splice(0)) connection.fail(stopped());
    this.#restSweep();
  }

  #restSweep(): void {
    if (this.#free.length > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #endWhenEmpty(): void {
    if (!this.#closing || this.#all.size > 0 || this.#waits.size > 0) return;
    this.#deadlines.stop();
    this.#closing.resolve();
  }
}
