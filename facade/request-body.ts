// A client's body: passed on as it comes, or read whole; bounded in both cases.
import type { IncomingMessage } from 'node:http';
import { UpstreamError } from './errors.ts';

export const hasBody = (raw: IncomingMessage) =>
  raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0;

export const bodyTooLarge = (bytesMax: number) =>
  new UpstreamError('body_too_large', `more than ${bytesMax} bytes`);

/** Where a body goes. */
export type BodySink = {
  /** @returns whether more may come at once */
  take(chunk: Buffer): boolean;
  ended(): void;
  failed(error: Error): void;
};

/**
 * The client's body, counted, and held back until somebody takes it: until then the client's socket keeps it. An upstream that
 * answers early lets go of it: then it is read, and goes nowhere, for the socket must live on to carry that answer.
 */
export class ClientBody {
  readonly #raw: IncomingMessage;
  readonly #bytesMax: number;
  /** By its Content-Length; undefined: it comes in chunks. */
  readonly bytes: number | undefined;
  #read = 0;
  #sink: BodySink | undefined;
  #isUnread = true;
  readonly #take = (chunk: Buffer) => {
    this.#read += chunk.length;
    const sink = this.#sink;
    if (!sink) return;
    if (this.#read > this.#bytesMax) sink.failed(bodyTooLarge(this.#bytesMax));
    else if (!sink.take(chunk)) this.#raw.pause();
  };
  readonly #end = () => this.#sink?.ended();

  constructor(raw: IncomingMessage, bytesMax: number) {
    const length = raw.headers['content-length'];
    this.#raw = raw;
    this.#bytesMax = bytesMax;
    this.bytes = length === undefined ? undefined : Number(length);
  }

  /** Nobody has begun to take it: all of it can still be sent. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** Once. */
  flow(sink: BodySink): void {
    this.#isUnread = false;
    this.#sink = sink;
    this.#raw.on('data', this.#take).once('end', this.#end);
    this.#raw.resume();
  }

  resume(): void {
    this.#raw.resume();
  }

  /** What is left of one that somebody has begun to take goes nowhere. */
  leave(): void {
    if (!this.#sink) return;
    this.#sink = undefined;
    this.#raw.resume();
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
