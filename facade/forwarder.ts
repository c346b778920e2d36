// Passes requests on, unread: @fastify/reply-from carries the exchange, undici the connections.
//
// Three things are taken out of reply-from's hands. The path: it decodes it as UTF-8, and legacy paths may hold
// bytes of another character set. Headers: it joins duplicates and passes hop-by-hop headers back. Time: undici's
// limit for the head of an answer counts while a slow client is still sending its body.
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Dispatcher, Pool } from 'undici';
import { UpstreamError } from './errors.ts';
import { endToEnd, type HeaderList, valuesOf } from './headers.ts';
import type { Limits } from './options.ts';
import { boundedBody, hasBody } from './request-body.ts';

export type Outgoing = {
  /** An origin: http://host:port */
  readonly upstream: string;
  /** Normalised path and query. */
  readonly path: string;
  readonly headers: HeaderList;
  /** A body that has been read already; without one the client's goes through as it comes. */
  readonly body?: Buffer | undefined;
};

export type Answered = {
  readonly status: number;
  /** End-to-end only. */
  readonly headers: HeaderList;
};

export type ForwardEvents = {
  /** Before the head goes out. @returns the headers to send */
  onAnswer(answer: Answered): HeaderList;
  /** Nothing has been sent, and the client is still there. */
  onFailure(error: unknown): void;
  /**
   * Once: upstream is done with it, or nobody waits for upstream any more. After `onAnswer`, or before `onFailure`.
   * @param error why there was no answer
   */
  onEnd?(error?: unknown): void;
};

export type Forwarder = {
  forward(request: FastifyRequest, reply: FastifyReply, outgoing: Outgoing, events: ForwardEvents): void;
  /** Ends event streams: they have no end of their own to wait for. */
  endStreams(): void;
  stop(): Promise<void>;
};

type Answer = { readonly head: Answered; readonly body: Readable };

type Exchange = {
  readonly outgoing: Outgoing;
  readonly abort: AbortController;
  readonly onEnd: ForwardEvents['onEnd'];
  answer?: Answer;
};

/** Event streams under way, with what feeds them. */
type Streams = Map<ServerResponse, Readable>;

/** Carries the exchange through reply-from to undici. */
const ticket = Symbol('exchange');

type Dispatched = {
  readonly method: Dispatcher.HttpMethod;
  readonly body?: Dispatcher.RequestOptions['body'];
  readonly headers: { readonly [ticket]?: Exchange };
};

export function createPool(origin: string, limits: Limits): Pool {
  return new Pool(origin, {
    connections: limits.upstreamConnectionsMax,
    pipelining: 1,
    connect: { timeout: limits.connectMsMax },
    // Both kept by the forwarder: see the head of this file. A body may pause as long as an event stream likes.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 64 * 1024,
  });
}

/** Sends the answer as it comes; a failure on either side ends the other. */
function sendOn(
  response: ServerResponse,
  { head, body }: Answer,
  headers: HeaderList,
  streams: Streams,
): void {
  response.writeHead(head.status, [...headers]);
  if (valuesOf(headers, 'content-length').length === 0) {
    // An event stream's head must not wait for its first event, nor may silence end it.
    response.flushHeaders();
    response.setTimeout(0);
    if (valuesOf(headers, 'content-type')[0]?.toLowerCase().startsWith('text/event-stream')) {
      streams.set(response, body);
      response.once('close', () => streams.delete(response));
    }
  }
  // Not stream.pipeline(): it makes and aborts an AbortController for each, a twentieth of the whole cost.
  body.on('error', () => response.destroy());
  response.once('close', () => {
    if (!body.readableEnded) body.destroy();
  });
  body.pipe(response);
}

/** What reply-from calls to make the request: the exchange says it all, reply-from's own idea of it is not used. */
function createDispatch(pools: ReadonlyMap<string, Pool>) {
  return (
    { method, body, headers }: Dispatched,
    done: (error: Error | null, data: Dispatcher.ResponseData) => void,
  ) => {
    const exchange = headers[ticket];
    const pool = exchange && pools.get(exchange.outgoing.upstream);
    if (!pool) throw new Error('an exchange has an upstream of the configuration');
    const { outgoing, abort, onEnd } = exchange;
    pool.request(
      {
        method,
        body: body ?? null,
        path: outgoing.path,
        headers: [...outgoing.headers],
        signal: abort.signal,
        responseHeaders: 'raw',
      },
      (error, data) => {
        if (error) {
          onEnd?.(error);
          return done(error, data);
        }
        if (onEnd) data.body.once('close', () => onEnd());
        // With 'raw' undici gives a flat list, whatever its type says.
        const raw: unknown = data.headers;
        const list = Array.isArray(raw) ? raw.map(String) : [];
        exchange.answer = { head: { status: data.statusCode, headers: endToEnd(list) }, body: data.body };
        done(null, { ...data, headers: {} });
      },
    );
  };
}

/** Aborts the exchange when its answer does not begin in time, once the clock is started, or when the client leaves. */
function watch(exchange: Exchange, response: ServerResponse, msMax: number) {
  let timer: NodeJS.Timeout | undefined;
  const late = () =>
    exchange.abort.abort(new UpstreamError('upstream_timeout', `no answer within ${msMax} ms`));
  const gone = () => {
    clearTimeout(timer);
    if (!response.writableFinished) exchange.abort.abort(new Error('the client went away'));
  };
  response.once('close', gone);
  return {
    startClock() {
      if (!exchange.answer && !exchange.abort.signal.aborted) timer = setTimeout(late, msMax);
    },
    stopClock: () => clearTimeout(timer),
    end() {
      clearTimeout(timer);
      response.off('close', gone);
    },
  };
}

export async function createForwarder(
  app: FastifyInstance,
  upstreams: readonly string[],
  limits: Limits,
): Promise<Forwarder> {
  const pools = new Map([...new Set(upstreams)].map((origin) => [origin, createPool(origin, limits)]));
  const streams: Streams = new Map();
  // reply-from brings an undici of its own, with types of its own: of its request() only this is used.
  await app.register(replyFrom, {
    undici: { request: createDispatch(pools) as never },
    disableRequestLogging: true,
  });

  function forward(
    request: FastifyRequest,
    reply: FastifyReply,
    outgoing: Outgoing,
    events: ForwardEvents,
  ): void {
    const exchange: Exchange = { outgoing, abort: new AbortController(), onEnd: events.onEnd };
    const response = reply.raw;
    const watching = watch(exchange, response, limits.upstreamMsMax);
    if (outgoing.body) {
      // As a stream: whatever is no stream, reply-from would encode.
      if (outgoing.body.length > 0) request.body = Readable.from([outgoing.body]);
      watching.startClock();
    } else if (hasBody(request.raw)) {
      const body = boundedBody(request.raw, limits.bodyBytesMax);
      body.once('end', watching.startClock);
      request.body = body;
    } else watching.startClock();

    reply.from('/', {
      getUpstream: () => outgoing.upstream,
      // By itself it repeats a GET that was answered 503.
      retryDelay: () => null,
      rewriteRequestHeaders: () => Object.assign({}, { [ticket]: exchange }),
      onResponse() {
        watching.stopClock();
        reply.hijack();
        const { answer } = exchange;
        if (!answer) return;
        try {
          sendOn(response, answer, events.onAnswer(answer.head), streams);
        } catch (cause) {
          // A status or a header that Node refuses to write.
          answer.body.once('error', () => {}).destroy();
          if (response.headersSent) response.destroy();
          else
            events.onFailure(new UpstreamError('upstream_failed', 'the answer cannot be passed on', cause));
        }
      },
      onError(_reply, { error }) {
        watching.end();
        reply.hijack();
        if (!response.destroyed) events.onFailure(error.cause ?? error);
      },
    });
  }

  return {
    forward,
    endStreams() {
      for (const [response, body] of streams) {
        body.unpipe(response);
        response.end();
      }
    },
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}
