// One request to an upstream, and who is told of its answer. The names are those of undici's dispatch, so that undici's cache (RFC 9111)
// can stand before our connections (answer-cache.ts).
import type { Connection } from './connection.ts';
import type { HeaderList } from './headers.ts';
import type { Place } from './line.ts';
import { giveBack } from './read-buffers.ts';
import type { ClientBody } from './request-body.ts';
import { type BodyLength, requestHead } from './request-head.ts';

export type Asked = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Buffer | ClientBody | null;
  /** It may be executed twice: not by its method (many a GET counts), but because somebody has said so. */
  readonly mayRepeat?: boolean;
};

export type Answering = {
  /** Of the head that came last: the bytes as they came, whatever their character set: latin1 has a character for each. */
  readonly rawHeaders: HeaderList;
  pause(): void;
  resume(): void;
  /** Ends it, in whatever state it is; when it is over this does nothing. */
  abort(error: Error): void;
  /** Once: nobody has this part of the body any more, and it may be written over. It need not be said. */
  giveBack(chunk: Buffer): void;
};

/** Of each answer `onResponseEnd` or `onResponseError` comes last, and once. */
export type AnswerHandler = {
  /** It is known, and may still wait for a connection. */
  onRequestStart(answering: Answering): void;
  /** All of it is on its way. */
  onRequestSent?(): void;
  /** Once for each 1xx, and once more. */
  onResponseStart(answering: Answering, status: number): void;
  /** @param chunk is the handler's, to keep */
  onResponseData(answering: Answering, chunk: Buffer): void;
  onResponseEnd(answering: Answering): void;
  onResponseError(answering: Answering, error: Error): void;
};

export type Dispatch = {
  /** @throws nothing: whatever is wrong is told to the handler */
  dispatch(asked: Asked, handler: AnswerHandler): void;
};

/** So small a body goes out in one piece with its head. */
const smallBytesMax = 8 * 1024;

const lengthOf = (body: Asked['body']): BodyLength =>
  body === null ? 'none' : body instanceof Uint8Array ? body.length : (body.bytes ?? 'chunked');

export class Call implements Answering {
  readonly method: string;
  /** What is written first: the head, and a small body; a character is a byte. */
  readonly text: string;
  /** What is written after it. */
  readonly body: Buffer | ClientBody | null;
  readonly handler: AnswerHandler;
  /** It may be sent once more, on another connection. */
  mayRepeat: boolean;
  rawHeaders: HeaderList = [];
  isOver = false;
  /** Undefined as long as it waits for one. */
  connection: Connection | undefined;
  /** Among those that wait for one. */
  place: Place<Call> | undefined;

  /** @throws UpstreamError bad_request */
  constructor(asked: Asked, handler: AnswerHandler, host: string) {
    const { method, path, headers, body } = asked;
    const head = requestHead(method, path, headers, host, lengthOf(body));
    const isSmall = body instanceof Uint8Array && body.length <= smallBytesMax;
    this.method = method;
    this.text = isSmall ? head + body.toString('latin1') : head;
    this.body = isSmall ? null : body;
    this.mayRepeat = asked.mayRepeat === true && body === null;
    this.handler = handler;
  }

  pause(): void {
    this.connection?.pause();
  }

  resume(): void {
    this.connection?.resume();
  }

  giveBack(chunk: Buffer): void {
    giveBack(chunk);
  }

  abort(error: Error): void {
    if (this.isOver) return;
    this.mayRepeat = false;
    if (this.connection) this.connection.fail(error);
    else {
      this.place?.leave();
      this.fail(error);
    }
  }

  /** It has no connection any more. */
  fail(error: Error): void {
    this.connection = undefined;
    this.isOver = true;
    this.handler.onResponseError(this, error);
  }
}
