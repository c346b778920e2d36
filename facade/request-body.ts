// A client's body: passed on as it comes, or read whole; bounded in both cases.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { UpstreamError } from './errors.ts';

export const hasBody = (raw: IncomingMessage) =>
  raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0;

export const bodyTooLarge = (bytesMax: number) =>
  new UpstreamError('body_too_large', `more than ${bytesMax} bytes`);

const ignore = () => {};

/**
 * The client's body, counted. It stands between the client's socket and undici, which destroys the stream it
 * reads when an upstream answers early: the socket must live on to carry that answer.
 */
export class ClientBody extends Readable {
  readonly #raw: IncomingMessage;
  readonly #bytesMax: number;
  #bytes = 0;
  /** What has come before anybody reads it. */
  #kept: Buffer[] | undefined = [];
  #isUnread = false;
  readonly #take = (chunk: Buffer) => {
    this.#bytes += chunk.length;
    this.#kept?.push(chunk);
    if (this.#bytes > this.#bytesMax) this.destroy(bodyTooLarge(this.#bytesMax));
    else if (!this.push(chunk)) this.#raw.pause();
  };
  readonly #end = () => this.push(null);

  constructor(raw: IncomingMessage, bytesMax: number) {
    super();
    this.#raw = raw;
    this.#bytesMax = bytesMax;
    this.on('error', ignore); // undici reports it with the exchange
    raw.on('data', this.#take).once('end', this.#end);
    raw.once('close', () => {
      if (!raw.complete) this.destroy(new Error('the client went away'));
    });
  }

  override _read(): void {
    if (this.readableFlowing !== null) this.#kept = undefined;
    this.#raw.resume();
  }

  /** It has ended without anybody having read any of it: it could not be sent. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /**
   * Gives an unread one back to its request, to be sent anew.
   * @returns all of it, when its end has come already: a request cannot take that back
   */
  giveBack(): Buffer | undefined {
    const kept = Buffer.concat(this.#kept ?? []);
    if (this.#raw.readableEnded) return kept;
    if (kept.length > 0) this.#raw.unshift(kept);
    return undefined;
  }

  /** What is left of one that somebody has begun to read is read, and goes nowhere. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#raw.off('data', this.#take).off('end', this.#end);
    this.#isUnread = this.readableFlowing === null && this.#bytes <= this.#bytesMax && !this.#raw.destroyed;
    if (this.#isUnread) this.#raw.pause();
    else this.#raw.resume();
    done(error);
  }
}

const nothing = Buffer.alloc(0);

/**
 * @returns empty when there is none; undefined when the client left before its end
 * @throws UpstreamError body_too_large; what is left is not read
 */
export async function readBody(raw: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  if (!hasBody(raw)) return nothing;
  if (Number(raw.headers['content-length'] ?? 0) > bytesMax) throw bodyTooLarge(bytesMax);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) return void chunks.push(chunk);
    raw.off('data', take).pause();
    reject(bodyTooLarge(bytesMax));
  };
  raw
    .on('data', take)
    .once('end', () => resolve(Buffer.concat(chunks)))
    .once('error', () => resolve(undefined))
    .once('close', () => resolve(undefined)); // after the end, it says nothing new
  return promise;
}
