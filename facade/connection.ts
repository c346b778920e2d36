// One connection to an upstream, for one exchange at a time. It is used again only when nothing of the last exchange is left on it.
import type { Socket } from 'node:net';
import { notHttp } from './answer-head.ts';
import { AnswerReader } from './answer-reader.ts';
import type { Call } from './call.ts';
import type { Waiter } from './deadlines.ts';
import type { Dial } from './dial.ts';
import { UpstreamError } from './errors.ts';
import type { BodySink, ClientBody } from './request-body.ts';

export type ConnectionOwner = {
  /** It can be used, for the first time or again. */
  free(connection: Connection): void;
  /** It cannot be used any more; once. @param error why it never could */
  gone(connection: Connection, error?: UpstreamError): void;
  /** Nothing of this call has been executed, or it may be executed twice. */
  again(call: Call): void;
};

/** That it ended says nothing of whether the request was executed. */
class Lost extends UpstreamError {
  constructor(cause?: Error) {
    super('upstream_failed', 'the connection ended before the answer', cause);
  }
}

/**
 * The memory of a part that has been sent: at once, for a collection that comes for it late goes through all of the heap (V8 counts
 * what its objects hold beyond it, and is soon in a hurry).
 */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

export class Connection implements Waiter, BodySink {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #isTls: boolean;
  readonly #answer: AnswerReader;
  #state: 'connecting' | 'free' | 'busy' | 'over' = 'connecting';
  #call: Call | undefined;
  #isReused = false;
  /** The request is all on its way. */
  #isSent = false;
  /** Something of its answer has come. */
  #isHeard = false;
  #error: Error | undefined;
  /** By performance.now() */
  freeSince = 0;
  /** So long the upstream keeps it; -1: it does not say. */
  keptMs = -1;

  constructor(dial: Dial, owner: ConnectionOwner) {
    const answer = new AnswerReader(dial.isTls);
    this.#owner = owner;
    this.#isTls = dial.isTls;
    this.#answer = answer;
    const onread = {
      buffer: () => answer.next,
      // What was read into: another one is asked for after this.
      callback: (bytes: number) => this.#read(answer.next, bytes),
    };
    this.#socket = dial
      .open(onread, () => this.#ready())
      .on('drain', () => this.#drained())
      .on('end', () => this.#ended())
      .on('error', (error) => {
        this.#error = error;
      })
      .on('close', () => this.fail(new Lost(this.#error)));
  }

  /** It could not be opened in time. */
  late(): void {
    this.#error = new Error('it took too long');
    this.fail(new Lost());
  }

  /** @param call for which it is free */
  send(call: Call): void {
    const socket = this.#socket;
    const { body } = call;
    this.#state = 'busy';
    this.#call = call;
    this.#isHeard = false;
    this.#isSent = false;
    call.connection = this;
    const isWhole = body instanceof Uint8Array;
    if (isWhole) socket.cork();
    socket.write(call.text, 'latin1');
    if (isWhole) {
      socket.write(body);
      socket.uncork();
    }
    // The system has refused the first write, and all of it: the connection was reset before. Nothing has been sent, and so even
    // what changes something may go on another one. (Under TLS it might be a later record that is refused.)
    if (socket.errored && this.#isReused && !this.#isTls) this.#sendElsewhere(call);
    else if (body === null || isWhole) this.#sent(call);
    else body.flow(this);
  }

  take(chunk: Buffer): boolean {
    const socket = this.#socket;
    const isChunked = this.#stream?.bytes === undefined;
    if (isChunked) {
      socket.cork();
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    }
    let mayGoOn = socket.write(chunk, (error) => error ?? free(chunk));
    if (isChunked) {
      mayGoOn = socket.write('\r\n', 'latin1');
      socket.uncork();
    }
    // So large a part is always too much for Node, also when the system takes all of it at once.
    return mayGoOn || socket.writableLength === 0;
  }

  ended(): void {
    const call = this.#call;
    if (!call) return;
    if (this.#stream?.bytes === undefined) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#sent(call);
  }

  failed(error: Error): void {
    this.fail(error);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends it, and what is under way on it. */
  fail(error: Error): void {
    if (this.#state === 'over') return;
    const call = this.#call;
    // An upstream may end a connection that it keeps at any time, also when a request is on its way to it. Whether it has executed
    // that, nobody knows (RFC 9112, 9.3.1), and a method does not say it (RFC 9110, 9.2.2 believes that it does): only somebody
    // who knows the application does.
    const mayRepeat = call?.mayRepeat === true && this.#isReused && !this.#isHeard && error instanceof Lost;
    this.#stream?.leave();
    this.#close(this.#error);
    if (!call) return;
    if (mayRepeat) {
      call.mayRepeat = false;
      call.connection = undefined;
      this.#owner.again(call);
    } else call.fail(error);
  }

  get #stream(): ClientBody | undefined {
    const body = this.#call?.body;
    return body === null || body instanceof Uint8Array ? undefined : body;
  }

  #ready(): void {
    if (this.#state === 'connecting') this.#becomeFree();
  }

  #becomeFree(): void {
    this.#state = 'free';
    this.#owner.free(this);
  }

  #close(cause?: Error): void {
    const neverWas =
      this.#state === 'connecting'
        ? new UpstreamError('upstream_unavailable', 'no connection to the upstream', cause)
        : undefined;
    this.#state = 'over';
    this.#call = undefined;
    this.#socket.destroy();
    this.#owner.gone(this, neverWas);
  }

  #sendElsewhere(call: Call): void {
    call.connection = undefined;
    this.#close();
    this.#owner.again(call);
  }

  #sent(call: Call): void {
    this.#isSent = true;
    call.handler.onRequestSent?.();
  }

  #drained(): void {
    if (!this.#isSent) this.#stream?.resume();
  }

  /** The upstream says nothing more. */
  #ended(): void {
    const call = this.#call;
    if (call && this.#answer.isEndedByConnection) this.#finish(call);
    else this.fail(new Lost(this.#error));
  }

  #read(bytes: Buffer, length: number): boolean {
    const call = this.#call;
    if (!call) {
      this.fail(notHttp('bytes that nobody has asked for'));
      return false;
    }
    this.#isHeard = true;
    try {
      if (this.#answer.read(call, bytes, length)) this.#finish(call);
    } catch (thrown) {
      // Of the upstream's making, or the handler's.
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (this.#call === call) this.fail(error);
      else call.handler.onResponseError(call, error);
    }
    return true;
  }

  #finish(call: Call): void {
    const keptMs = this.#answer.end();
    const socket = this.#socket;
    this.#stream?.leave();
    call.isOver = true;
    call.connection = undefined;
    this.#call = undefined;
    // An answer that comes before all of its request leaves the rest of that on the connection.
    if (keptMs === undefined || !this.#isSent || socket.destroyed || socket.readableEnded) this.#close();
    else {
      this.#isReused = true;
      this.keptMs = keptMs;
      if (socket.isPaused()) socket.resume();
      this.#becomeFree();
    }
    call.handler.onResponseEnd(call);
  }
}
