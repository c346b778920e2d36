// The flags of an Unleash server as a repository of unleash-client, asked by ourselves: the client's own one stops for good when
// its token is refused once, ends the process when it is destroyed amid a poll that fails, and cannot be stopped while a
// server keeps it waiting (all three in 6.12.1).
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { UnleashConfig } from 'unleash-client';
import {
  type ClientFeatures,
  type Feature,
  FeaturesError,
  parseClientFeatures,
  type Segment,
} from './client-features.ts';
import { codeOf } from './errors.ts';
import { readBackup, writeBackup } from './flags-backup.ts';

type Repository = NonNullable<UnleashConfig['repository']>;

export type UnleashOptions = {
  /** Of its API, as in `http://unleash:4242/api`. */
  readonly url: string;
  readonly token: string;
  readonly pollMs: number;
  /** How long to wait after the server refused the token. */
  readonly refusedRetryMs: number;
  /** The file that keeps what the server said last; without one nothing is known until it answers. */
  readonly backup: string | undefined;
};

const answerMsMax = 3_000;
const answerBytesMax = 32 * 1024 * 1024;
const retryAfterMsMax = 60_000;

/** Why there are no newer flags, and when to ask again if not after the usual time. */
class PollError extends Error {
  readonly retryMs: number | undefined;
  constructor(message: string, options: { readonly retryMs?: number; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryMs = options.retryMs;
  }
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytesMax)
      throw new PollError(`it answered with more than ${answerBytesMax} bytes of flags`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return `it cannot be reached: ${codeOf(cause) || (cause instanceof Error ? cause.message : String(cause))}`;
}

export class UnleashRepository extends EventEmitter implements Repository {
  /** When the flags in force were confirmed last. */
  loadedAt: Date | undefined;
  /** Why the newest flags are not in force. */
  fault: string | undefined;
  /** No server has confirmed the flags in force since this process started. */
  isBackup = false;
  flags: ClientFeatures = { features: new Map(), segments: new Map() };
  readonly #options: UnleashOptions;
  readonly #log: Logger;
  readonly #place: URL;
  readonly #headers: Readonly<Record<string, string>>;
  #isStopped = false;
  /** Of the question under way, or of the last one. */
  #asking = new AbortController();
  #etag: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UnleashOptions, log: Logger) {
    super();
    this.#options = options;
    this.#log = log;
    this.#place = new URL('client/features', options.url.replace(/\/*$/, '/'));
    this.#headers = {
      authorization: options.token,
      accept: 'application/json',
      'user-agent': 'banyan-facade',
      'unleash-appname': 'banyan-facade',
      'unleash-instanceid': `${hostname()}-${process.pid}`,
      'unleash-connection-id': randomUUID(),
      'unleash-interval': String(options.pollMs),
      // Of this version on, segments come beside the flags.
      'unleash-client-spec': '5.2.0',
    };
  }

  /** Waits for the first answer, or why there is none. */
  async start(): Promise<void> {
    await this.#poll();
    if (this.loadedAt === undefined && this.#options.backup !== undefined)
      this.#restore(this.#options.backup);
    this.emit('ready');
  }

  #restore(file: string): void {
    try {
      const backup = readBackup(file, this.#place.href);
      if (!backup) return;
      this.flags = parseClientFeatures(backup.body);
      this.loadedAt = backup.confirmedAt;
      this.isBackup = true;
      this.#log.warn(
        { file, confirmedAt: backup.confirmedAt },
        'the flags are those that Unleash said before',
      );
      this.emit('changed', this.getToggles());
    } catch (error) {
      this.#log.error({ err: error, file }, 'the backup of the flags cannot be used');
    }
  }

  async #poll(): Promise<void> {
    let nextMs = this.#options.pollMs;
    try {
      const body = await this.#ask();
      if (body !== undefined) this.#load(body);
      this.loadedAt = new Date();
      this.isBackup = false;
      if (this.fault !== undefined) this.#log.info({ place: this.#place.href }, 'Unleash answers again');
      this.fault = undefined;
    } catch (error) {
      if (this.#isStopped) return;
      const fault = error instanceof PollError ? error.message : causeOf(error);
      nextMs = (error instanceof PollError ? error.retryMs : undefined) ?? nextMs;
      if (fault !== this.fault)
        this.#log.error(
          { fault, place: this.#place.href, askedAgainMs: nextMs },
          'Unleash gives no flags; the last ones stay in force',
        );
      this.fault = fault;
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#poll(), nextMs);
  }

  /** @returns undefined when nothing has changed; @throws whatever the network does, and PollError */
  async #ask(): Promise<unknown> {
    const asking = new AbortController();
    this.#asking = asking;
    const late = new PollError(`it has not answered within ${answerMsMax} ms`);
    const timer = setTimeout(() => asking.abort(late), answerMsMax);
    try {
      return await this.#askUntil(asking.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #askUntil(signal: AbortSignal): Promise<unknown> {
    const response = await fetch(this.#place, {
      headers: { ...this.#headers, ...(this.#etag !== undefined && { 'if-none-match': this.#etag }) },
      redirect: 'manual',
      signal,
    });
    const { status, headers } = response;
    if (status === 304) return undefined;
    if (status !== 200) {
      await response.body?.cancel();
      throw this.#refusal(status, headers);
    }
    const text = await textOf(response);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw new PollError('it answered with something that is not JSON: is UNLEASH_URL that of its API?', {
        cause,
      });
    }
    this.#etag = headers.get('etag') ?? undefined;
    return body;
  }

  #refusal(status: number, headers: Headers): PollError {
    const { refusedRetryMs, pollMs } = this.#options;
    if (status === 401 || status === 403)
      return new PollError(
        `it answered ${status}: UNLEASH_TOKEN is no client (backend) token of it; it is asked again every ${refusedRetryMs} ms`,
        { retryMs: refusedRetryMs },
      );
    if (status === 429) {
      const afterMs = Number(headers.get('retry-after') ?? Number.NaN) * 1_000;
      return new PollError('it answered 429: it is asked too often', {
        retryMs: Number.isFinite(afterMs) ? Math.min(Math.max(afterMs, pollMs), retryAfterMsMax) : 4 * pollMs,
      });
    }
    if (status === 404) return new PollError('it answered 404: UNLEASH_URL should end in /api');
    if (status >= 300 && status < 400)
      return new PollError(`it leads to ${headers.get('location')}: let UNLEASH_URL be where it is`);
    return new PollError(`it answered ${status}`);
  }

  #load(body: unknown): void {
    try {
      this.flags = parseClientFeatures(body);
    } catch (error) {
      this.#etag = undefined; // or the next answer would be that nothing has changed
      if (!(error instanceof FeaturesError)) throw error;
      throw new PollError(`it answered with what is no list of flags: ${error.message}`, { cause: error });
    }
    this.emit('changed', this.getToggles());
    const { backup } = this.#options;
    if (backup === undefined) return;
    try {
      writeBackup(backup, { place: this.#place.href, confirmedAt: new Date(), body });
    } catch (error) {
      this.#log.error({ err: error, file: backup }, 'the flags cannot be kept for the next start');
    }
  }

  /** At once, whatever is under way. */
  stop(): void {
    this.#isStopped = true;
    this.#asking.abort();
    clearTimeout(this.#timer);
    this.removeAllListeners();
  }

  getToggle(name: string): Feature | undefined {
    return this.flags.features.get(name);
  }

  getToggles(): Feature[] {
    return [...this.flags.features.values()];
  }

  getSegment(id: number): Segment | undefined {
    return this.flags.segments.get(id);
  }

  getTogglesWithSegmentData(): ReturnType<Repository['getTogglesWithSegmentData']> {
    return this.getToggles().map(({ strategies, ...feature }) => ({
      ...feature,
      strategies: (strategies ?? []).map(({ segments, ...strategy }) => ({
        ...strategy,
        segments: (segments ?? []).map((id) => this.getSegment(id)),
      })),
    }));
  }
}
