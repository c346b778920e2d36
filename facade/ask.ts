// One question of the facade's own to an upstream: the whole answer as text, bounded in time and bytes, and never asked again.
import type { EventEmitter } from 'node:events';
import type { AnswerHandler, Answering, Dispatch } from './call.ts';
import { UpstreamError } from './errors.ts';
import type { HeaderList } from './headers.ts';

export type Question = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
};

export type Told = {
  readonly status: number;
  readonly rawHeaders: HeaderList;
  readonly text: string;
};

export type Bounds = {
  readonly msMax: number;
  readonly bytesMax: number;
  /** Asked when the time is over: for how many more milliseconds the answer is waited for; 0 or less ends it. */
  readonly moreMs?: (() => number) | undefined;
};

/** Nobody waits for the answer any more. */
export class ClientGone extends Error {
  override name = 'ClientGone';
}

/** Written straight for the dispatcher: a Readable and an AbortSignal for each answer cost as much as the exchange itself. */
class Asking implements AnswerHandler {
  readonly told: Promise<Told>;
  readonly #settle: PromiseWithResolvers<Told> = Promise.withResolvers();
  readonly #bytesMax: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #rawHeaders: HeaderList = [];
  #answering: Answering | undefined;
  #given: Error | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.told = this.#settle.promise;
  }

  /** Also while it waits for a connection. */
  giveUp(why: Error): void {
    this.#given ??= why;
    this.#settle.reject(why);
    this.#answering?.abort(why);
  }

  onRequestStart(answering: Answering): void {
    this.#answering = answering;
    if (this.#given) answering.abort(this.#given);
  }

  onResponseStart(answering: Answering, status: number): void {
    this.#status = status;
    this.#rawHeaders = answering.rawHeaders;
  }

  onResponseData(_answering: Answering, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) this.giveUp(new RangeError(`more than ${this.#bytesMax} bytes came`));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks, this.#bytes);
    const rawHeaders = this.#rawHeaders;
    this.#settle.resolve({ status: this.#status, rawHeaders, text: body.toString('utf8') });
    for (const chunk of this.#chunks) this.#answering?.giveBack(chunk);
  }

  onResponseError(_answering: Answering, error: Error): void {
    this.#settle.reject(error);
  }
}

/**
 * @param client whose leaving ends it: nobody waits for the answer any more
 * @throws RangeError when there is more; ClientGone; UpstreamError `upstream_timeout`; what the connection fails with otherwise
 */
export async function ask(
  pool: Dispatch,
  question: Question,
  { msMax, bytesMax, moreMs }: Bounds,
  client?: EventEmitter,
): Promise<Told> {
  const asking = new Asking(bytesMax);
  let waitsMs = msMax;
  const over = () => {
    const more = moreMs?.() ?? 0;
    if (more <= 0)
      return asking.giveUp(
        new UpstreamError('upstream_timeout', `no answer within ${Math.round(waitsMs)} ms`),
      );
    waitsMs += more;
    timer = setTimeout(over, more);
  };
  let timer = setTimeout(over, msMax);
  const gone = () => asking.giveUp(new ClientGone('the client went away'));
  client?.once('close', gone);
  try {
    const { method, path, headers, body } = question;
    const list = Object.entries(headers).flat();
    pool.dispatch(
      { method, path, headers: list, body: body === undefined ? null : Buffer.from(body) },
      asking,
    );
    return await asking.told;
  } finally {
    clearTimeout(timer);
    client?.off('close', gone);
  }
}

/** JSON; undefined for no body, and the text itself when it is none. */
export function jsonOrText(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
