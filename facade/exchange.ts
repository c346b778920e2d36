// One exchange: a client's request on its way to an upstream, and the answer on its way back. One object a
// request, with methods that its connection calls; no stream stands between the two connections, each holds the other back by itself.
import type { ServerResponse } from 'node:http';
import type { AnswerHandler, Answering } from './call.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { UpstreamError } from './errors.ts';
import { endToEnd, firstOf, type HeaderList, without } from './headers.ts';

export type Answered = {
  readonly status: number;
  /** End-to-end only. */
  readonly headers: HeaderList;
};

export type ForwardEvents = {
  /** Before the head goes out. @returns the headers to send */
  onAnswer(answer: Answered): HeaderList;
  /** A part of the body, before it goes out. It is written over afterwards. */
  onData?(chunk: Buffer): void;
  /** Nothing but 1xx has been sent, and the client is still there. */
  onFailure(error: unknown): void;
  /**
   * Once: upstream is done with it, or nobody waits for upstream any more. After `onAnswer`, or before `onFailure`.
   * @param error why there was no answer
   */
  onEnd?(error?: unknown): void;
};

const isEventStream = (headers: HeaderList) =>
  firstOf(headers, 'content-type')?.toLowerCase().startsWith('text/event-stream') === true;

/** Of 1xx that a client has not taken yet. */
const unreadBytesMax = 16 * 1024;

/** So small an answer goes out with its head, in one piece. */
const smallBytesMax = 8 * 1024;

/** Not by flushHeaders(), which would write what is beyond ASCII as UTF-8. */
function flush(response: ServerResponse): void {
  if (!response.destroyed && !response.writableEnded) response.write('', 'latin1');
}

/**
 * Part of an answer must not look like a whole one. To a client of HTTP/1.0 the end of the connection is the end of the answer, and
 * only a reset is not.
 */
function breakOff(response: ServerResponse): void {
  if (response.req.httpVersion === '1.0') response.socket?.resetAndDestroy();
  else response.destroy();
}

export class Exchange implements AnswerHandler {
  readonly #response: ServerResponse;
  readonly #events: ForwardEvents;
  readonly #deadlines: Deadlines;
  /** Event streams under way. */
  readonly #streams: Set<Exchange>;
  #state: 'asking' | 'answering' | 'over' = 'asking';
  #answering: Answering | undefined;
  /** Bytes of the body, by its head; -1: it does not say. */
  #length = -1;
  /** All of a small body, as long as its end has not been seen. */
  #whole: Buffer | undefined;
  #deadline: Deadline | undefined;
  #isStream = false;
  #isWatchingDrain = false;
  #mayInform: boolean;

  /**
   * @param response whose turn on its connection has come: behind another answer Node would write 1xx after its head, and not end the
   * connection with it
   * @param deadlines from `startClock` to the head of the answer
   */
  constructor(response: ServerResponse, events: ForwardEvents, deadlines: Deadlines, streams: Set<Exchange>) {
    this.#response = response;
    this.#events = events;
    this.#deadlines = deadlines;
    this.#streams = streams;
    this.#mayInform = response.req.httpVersion !== '1.0';
    response.on('close', () => this.#clientGone());
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** The request has been sent: from now on the upstream is waited for. */
  startClock(): void {
    if (this.#state === 'asking') this.#deadline ??= this.#deadlines.begin(this);
  }

  late(): void {
    this.fail(new UpstreamError('upstream_timeout', `no answer within ${this.#deadlines.msMax} ms`));
  }

  /** Ends it before the head of the answer. */
  fail(error: Error): void {
    if (this.#state !== 'asking') return;
    this.#over(error);
    this.#answering?.abort(error);
    if (!this.#response.destroyed) this.#events.onFailure(error);
  }

  /** Ends an answer that has no end of its own to wait for. */
  endStream(): void {
    this.#over();
    this.#answering?.abort(new Error('the facade is stopping'));
    this.#response.end();
  }

  onRequestStart(answering: Answering): void {
    if (this.#state === 'over') answering.abort(new Error('nobody waits for this'));
    else this.#answering = answering;
  }

  onRequestSent(): void {
    this.startClock();
  }

  onResponseStart(answering: Answering, status: number): void {
    const headers = endToEnd(answering.rawHeaders);
    // Whatever is thrown ends this exchange and its connection.
    if (status < 200) this.#inform(status, headers);
    else this.#sendHead(status, headers);
  }

  onResponseData(answering: Answering, chunk: Buffer): void {
    this.#events.onData?.(chunk);
    if (chunk.length === this.#length && chunk.length <= smallBytesMax) {
      this.#whole = chunk;
      return;
    }
    const response = this.#response;
    const mayGoOn = response.write(chunk, (error) => error ?? answering.giveBack(chunk));
    if (mayGoOn) return;
    // So large a part is always too much for Node, also when the system takes all of it at once.
    response.socket?.uncork();
    if (response.writableLength === 0) return;
    answering.pause();
    if (this.#isWatchingDrain) return;
    this.#isWatchingDrain = true;
    this.#response.on('drain', () => answering.resume());
  }

  /** Its trailers stay here: nobody was promised them (`Trailer` and `TE` are not passed on). */
  onResponseEnd(): void {
    this.#over();
    // As text of one byte a character it is one piece with the head, which is text: one write, without a copy of either.
    if (this.#whole) this.#response.end(this.#whole.toString('latin1'), 'latin1');
    else this.#response.end();
  }

  onResponseError(_answering: Answering, error: Error): void {
    this.fail(error);
    if (this.#state === 'over') return;
    this.#over();
    breakOff(this.#response);
  }

  #over(error?: unknown): void {
    this.#state = 'over';
    this.#deadline?.leave();
    if (this.#isStream) this.#streams.delete(this);
    this.#events.onEnd?.(error);
  }

  #clientGone(): void {
    if (this.#state === 'over') return;
    const error = new Error('the client went away');
    this.#over(this.#state === 'asking' ? error : undefined);
    this.#answering?.abort(error);
  }

  #sendHead(status: number, endToEndHeaders: HeaderList): void {
    const response = this.#response;
    this.#deadline?.leave();
    const headers = this.#events.onAnswer({
      status,
      headers: status === 204 ? without(endToEndHeaders, 'content-length') : endToEndHeaders,
    });
    response.writeHead(status, [...headers]);
    this.#state = 'answering';
    const length = firstOf(headers, 'content-length');
    if (length !== undefined) this.#length = Number(length);
    if (length !== undefined || status === 204) return;
    // Silence must not end what may have no end, and its head must not wait for its first event.
    response.setTimeout(0);
    process.nextTick(flush, response);
    this.#isStream = isEventStream(headers);
    if (this.#isStream) this.#streams.add(this);
  }

  /** 1xx. An upstream that says many of them to a client that does not read is no longer listened to. */
  #inform(status: number, headers: HeaderList): void {
    if (!this.#mayInform) return;
    try {
      // Such an answer has no body, and must not say that it had (RFC 9110, 8.6).
      this.#response.writeInformation(status, without(headers, 'content-length'));
      this.#mayInform = this.#response.writableLength < unreadBytesMax;
    } catch {
      this.#mayInform = false; // what Node refuses to write; the answer is still to come
    }
  }
}
