// One side's server, with the connection to it. A side that has failed is connected to anew beside the looks: none of them waits
// for it, so that a server that hangs does not keep the other one's news back.
import type { Logger } from 'pino';
import type { Side } from '../capability/capability.ts';
import { isLockWait, type SideConnection, type SideLook } from './side-connection.ts';
import { SourceClock } from './source-clock.ts';
import { within } from './within.ts';

/** A look may wait a second for a lock. */
const lookMsMax = 2_500;
const retryMsMax = 2_000;

export class WatchedSide {
  readonly clock = new SourceClock();
  /** Why it cannot be read; undefined when it can. */
  fault: string | undefined;
  #connection: SideConnection | undefined;
  #connecting: Promise<void> | undefined;
  #failures = 0;
  #retryAt = 0;
  readonly #side: Side;
  readonly #connectTo: () => Promise<SideConnection>;
  readonly #log: Logger;

  /** @param connectTo a new connection; it gives up by itself */
  constructor(side: Side, connectTo: () => Promise<SideConnection>, log: Logger) {
    this.#side = side;
    this.#connectTo = connectTo;
    this.#log = log;
  }

  /** @returns undefined when it cannot be read now */
  async read(): Promise<SideLook | undefined> {
    if (!this.#connection) {
      if (performance.now() >= this.#retryAt) this.#connecting ??= this.#connect();
      if (this.#failures === 0) await this.#connecting;
    }
    const connection = this.#connection;
    if (!connection) return undefined;
    const sentMs = performance.now();
    try {
      const look = await within(connection.look(), lookMsMax);
      this.clock.polled(sentMs, performance.now(), look.serverMicros);
      if (this.#failures > 0) this.#log.info({ side: this.#side }, 'fences and holds are read again');
      this.#failures = 0;
      this.fault = undefined;
      return look;
    } catch (error) {
      if (!isLockWait(error)) this.#failed(error);
      return undefined;
    }
  }

  async #connect(): Promise<void> {
    try {
      this.#connection = await this.#connectTo();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#connecting = undefined;
    }
  }

  #failed(error: unknown): void {
    this.#close();
    this.#failures += 1;
    this.fault = error instanceof Error ? error.message || error.name : String(error);
    this.#retryAt = performance.now() + Math.min(100 * 2 ** this.#failures, retryMsMax);
    if (this.#failures === 1)
      this.#log.error({ err: error, side: this.#side }, 'fences and holds cannot be read');
  }

  #close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async stop(): Promise<void> {
    this.#retryAt = Number.POSITIVE_INFINITY;
    this.#close();
    await this.#connecting;
    this.#close();
  }
}
