// Passes requests on, unread: undici's pools keep the connections, an Exchange the two ends of each request.
//
// Two limits are kept by the exchange and not by undici. Its clock for the head of an answer also counts while a slow
// client is still sending its body; and a body may pause for as long as an event stream likes.
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Pool } from 'undici';
import { Deadlines } from './deadlines.ts';
import { Exchange, type ForwardEvents } from './exchange.ts';
import type { Limits } from './options.ts';
import { bodyTooLarge, ClientBody, hasBody } from './request-body.ts';

export type Outgoing = {
  /** An origin: http://host:port */
  readonly upstream: string;
  /** Normalised path and query. */
  readonly path: string;
  /** End-to-end only, flat as in HeaderList; a character is a byte. */
  readonly headers: string[];
  /** A body that has been read already; without one the client's goes through as it comes. */
  readonly body?: Buffer | undefined;
};

export type Forwarder = {
  /**
   * Sends the request once, in no case again. Takes the reply: from now on `events` and the exchange answer.
   * A client that leaves ends it upstream; an answer that breaks off breaks the client's connection.
   */
  forward(request: FastifyRequest, reply: FastifyReply, outgoing: Outgoing, events: ForwardEvents): void;
  /** Ends event streams: they have no end of their own to wait for. */
  endStreams(): void;
  stop(): Promise<void>;
};

export function createPool(origin: string, limits: Limits): Pool {
  return new Pool(origin, {
    connections: limits.upstreamConnectionsMax,
    pipelining: 1,
    connect: { timeout: limits.connectMsMax },
    // Both kept by the forwarder: see the head of this file.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 64 * 1024,
  });
}

function send(
  pool: Pool,
  exchange: Exchange,
  request: IncomingMessage,
  { path, headers }: Outgoing,
  body: Buffer | ClientBody | null,
): void {
  pool.dispatch({ method: request.method ?? '', path, headers, body }, exchange);
}

/** A small body has come with its head, and goes on in one piece; another one streams. */
function sendWithBody(
  pool: Pool,
  exchange: Exchange,
  request: IncomingMessage,
  outgoing: Outgoing,
  bytesMax: number,
): void {
  if (exchange.isOver) return;
  if (!request.complete) {
    send(pool, exchange, request, outgoing, new ClientBody(request, bytesMax));
  } else if (request.readableLength > bytesMax) {
    exchange.fail(bodyTooLarge(bytesMax));
  } else {
    exchange.startClock();
    const whole: Buffer | null = request.read();
    send(pool, exchange, request, outgoing, whole);
  }
}

export function createForwarder(upstreams: readonly string[], limits: Limits): Forwarder {
  const pools = new Map([...new Set(upstreams)].map((origin) => [origin, createPool(origin, limits)]));
  const deadlines = new Deadlines(limits.upstreamMsMax);
  const streams = new Set<Exchange>();

  return {
    forward({ raw }, reply, outgoing, events) {
      const pool = pools.get(outgoing.upstream);
      if (!pool) throw new Error('an exchange has an upstream of the configuration');
      const exchange = new Exchange(reply.raw, events, deadlines, streams);
      if (outgoing.body || !hasBody(raw)) {
        exchange.startClock();
        send(pool, exchange, raw, outgoing, outgoing.body ?? null);
      } else {
        // Not before what came with the head has been parsed, too.
        process.nextTick(sendWithBody, pool, exchange, raw, outgoing, limits.bodyBytesMax);
      }
      reply.hijack();
    },
    endStreams() {
      for (const stream of streams) stream.endStream();
    },
    async stop() {
      deadlines.stop();
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}
