// Passes requests on, unread: the pools of its instances keep the connections, an Exchange the two ends of each request.
//
// The clock for the head of an answer begins when all of the request is on its way: a slow client does not use it up. A body may
// pause for as long as an event stream likes.
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatch } from './call.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange, type ForwardEvents } from './exchange.ts';
import type { Limits } from './limits.ts';
import { bodyTooLarge, ClientBody, hasBody } from './request-body.ts';

export type Outgoing = {
  /** Of the instance that it goes to. */
  pool: Dispatch;
  /** Normalised path and query. */
  readonly path: string;
  /** End-to-end only, flat as in HeaderList; a character is a byte. */
  readonly headers: string[];
  /** It may be executed twice. */
  readonly mayRepeat: boolean;
  /** A body that has been read already, also by the forwarder; without one the client's goes through as it comes. */
  body: Buffer | undefined;
  /** The client's, on its way. */
  stream: ClientBody | undefined;
};

export type Forwarder = {
  /**
   * Sends the request once: again only what has certainly not been executed, or may be executed twice. Takes the reply: from now on `events` and the exchange answer.
   * A client that leaves ends it upstream; an answer that breaks off breaks the client's connection.
   */
  forward(request: FastifyRequest, reply: FastifyReply, outgoing: Outgoing, events: ForwardEvents): void;
  /** Ends event streams: they have no end of their own to wait for. */
  endStreams(): void;
  stop(): void;
};

function send(
  exchange: Exchange,
  request: IncomingMessage,
  { pool, path, headers, mayRepeat }: Outgoing,
  body: Buffer | ClientBody | null,
): void {
  pool.dispatch({ method: request.method ?? '', path, headers, body, mayRepeat }, exchange);
}

/** A small body has come with its head, and goes on in one piece; another one streams. */
function sendWithBody(
  exchange: Exchange,
  request: IncomingMessage,
  outgoing: Outgoing,
  bytesMax: number,
): void {
  if (exchange.isOver) return;
  if (!request.complete) {
    outgoing.stream = new ClientBody(request, bytesMax);
    send(exchange, request, outgoing, outgoing.stream);
  } else if (request.readableLength > bytesMax) {
    exchange.fail(bodyTooLarge(bytesMax));
  } else {
    exchange.startClock();
    const whole: Buffer | null = request.read();
    outgoing.body = whole ?? nothing;
    send(exchange, request, outgoing, whole);
  }
}

const nothing = Buffer.alloc(0);

export function createForwarder(limits: Pick<Limits, 'upstreamMsMax' | 'bodyBytesMax'>): Forwarder {
  const deadlines = new Deadlines(limits.upstreamMsMax);
  const streams = new Set<Exchange>();

  return {
    forward({ raw }, reply, outgoing, events) {
      const exchange = new Exchange(reply.raw, events, deadlines, streams);
      if (outgoing.body || !hasBody(raw)) {
        exchange.startClock();
        send(exchange, raw, outgoing, outgoing.body ?? null);
      } else {
        // Not before what came with the head has been parsed, too: Node's parser tells of one after the other, and lets ticks pass in between.
        setImmediate(sendWithBody, exchange, raw, outgoing, limits.bodyBytesMax);
      }
      reply.hijack();
    },
    endStreams() {
      for (const stream of streams) stream.endStream();
    },
    stop() {
      deadlines.stop();
    },
  };
}
