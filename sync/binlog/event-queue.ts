// Raw events between the socket and their reader, bounded in bytes: a full queue pauses the socket.
import type { Connection } from 'mysql2';
import { socketOf } from '../driver-socket.ts';
import type { EventSource } from './events.ts';

/** Code and message of an error packet. */
export type ServerError = { readonly errno: number; readonly message: string };

export type DumpEnd =
  | { readonly by: 'server-error'; readonly error: ServerError }
  /** The server ended the stream in an orderly way, which it does when it stops. */
  | { readonly by: 'eof' }
  | { readonly by: 'connection'; readonly cause: unknown };

export type Dump = EventSource & {
  /** Set once the stream has ended, and all that came before was taken. */
  readonly end: DumpEnd | undefined;
  /** Bytes received and not yet taken. */
  readonly queuedBytes: number;
  /** Bytes that the socket has given, whole events or not. */
  receivedBytes(): number;
  isPaused(): boolean;
  close(end: DumpEnd): void;
};

const cutAt = 256;

/** What a queue needs of its connection. */
export type Faucet = Pick<Connection, 'pause' | 'resume'>;

export class EventQueue implements Dump {
  readonly #connection: Faucet;
  readonly #bytesMax: number;
  #events: Buffer[] = [];
  #next = 0;
  #end: DumpEnd | undefined;
  #wake: (() => void) | undefined;
  #paused = false;
  queuedBytes = 0;

  constructor(connection: Faucet, bytesMax: number) {
    this.#connection = connection;
    this.#bytesMax = bytesMax;
  }

  get end(): DumpEnd | undefined {
    return this.#next < this.#events.length ? undefined : this.#end;
  }

  isPaused(): boolean {
    return this.#paused;
  }

  receivedBytes(): number {
    return socketOf(this.#connection)?.bytesRead ?? 0;
  }

  push(event: Buffer): void {
    this.#events.push(event);
    this.queuedBytes += event.length;
    if (!this.#paused && this.queuedBytes >= this.#bytesMax) {
      this.#paused = true;
      this.#connection.pause();
    }
    this.#notify();
  }

  close(end: DumpEnd): void {
    this.#end ??= end;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  take(): Buffer | undefined {
    const event = this.#events[this.#next];
    if (!event) return undefined;
    this.#next++;
    // A queue that is never quite empty must not keep what was taken: it is cut when half of it is gone.
    if (this.#next === this.#events.length || this.#next * 2 > this.#events.length + cutAt) {
      this.#events = this.#events.slice(this.#next);
      this.#next = 0;
    }
    this.queuedBytes -= event.length;
    if (this.#paused && this.queuedBytes <= this.#bytesMax / 2 && !this.#end) {
      this.#paused = false;
      this.#connection.resume();
    }
    return event;
  }

  async wait(): Promise<boolean> {
    if (this.#next < this.#events.length) return true;
    if (this.#end) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return this.#next < this.#events.length;
  }
}
