// An upstream that does what a case says, a forwarder before it, and a client: what each of them has seen in the end.
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatch } from '../../facade/call.ts';
import { createForwarder } from '../../facade/forwarder.ts';
import { requestHeaders } from '../../facade/headers.ts';
import { inTurn } from '../../facade/in-turn.ts';
import type { Answer, Case, Exchange } from './cases.ts';
import { type Heard, readAnswers, readRequest } from './wire.ts';

export type Way = Dispatch & { destroy(): Promise<unknown> };

export type Seen = {
  /** What the client has got, an answer each; `undefined` where none came. */
  readonly client: readonly (Heard | undefined)[];
  /** What the upstream has got, by id. */
  readonly upstream: ReadonlyMap<string, readonly string[]>;
  readonly isHung: boolean;
};

export type Stage = {
  play(given: Case): Promise<Seen>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Neither lasts long: a case that has not ended by then hangs. */
const hangMs = 4_000;

async function writeCut(socket: Socket, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    if (to > from && !socket.destroyed && !socket.write(bytes.subarray(from, to)) && !socket.destroyed)
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
    from = Math.max(from, to);
    // Until what was written has been read on the other side, which is in this process.
    await turn();
    await turn();
  }
}

async function answer(socket: Socket, { bytes, cuts, then }: Answer): Promise<void> {
  const all = Buffer.from(bytes, 'latin1');
  if (then === 'end') {
    // With the last of it: who ends a kept connection later meets the next request, or does not, by chance (RFC 9112, 9.3.1).
    const last = cuts.at(-1) ?? 0;
    if (last > 0) await writeCut(socket, all.subarray(0, last), cuts);
    socket.end(all.subarray(last));
    return;
  }
  await writeCut(socket, all, cuts);
  if (then === 'reset') socket.resetAndDestroy();
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/** Answers each request as its case says, once all of it has come; one after the other. */
function serve(socket: Socket, exchanges: Map<string, Exchange>, got: Map<string, string[]>): void {
  let heard = '';
  let isBusy = false;
  socket.on('error', () => {});
  socket.setNoDelay(true);
  let answered = '';
  const look = async () => {
    if (isBusy) return;
    const request = readRequest(heard);
    if (!request) return;
    if (answered === request.id) {
      // What is left of one that was answered too soon still comes.
      if (!request.isWhole) return;
      heard = heard.slice(request.bytes);
      return look();
    }
    const exchange = exchanges.get(request.id);
    if (!exchange || !(request.isWhole || exchange.answer.lie === 'too soon')) return;
    isBusy = true;
    answered = request.id;
    got.set(request.id, [...(got.get(request.id) ?? []), request.isWhole ? request.said : request.head]);
    await answer(socket, exchange.answer);
    isBusy = false;
    return look();
  };
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    void look();
  });
}

/** @returns all that came back; `isHung`: it neither ended nor was answered */
async function ask(
  port: number,
  { exchanges, isPipelined }: Case,
): Promise<{ heard: string; isHung: boolean; isReset: boolean }> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const asks = exchanges.map((each) => each.ask);
  let heard = '';
  let isClosed = false;
  let look = () => {};
  const changed = () =>
    new Promise<void>((resolve) => {
      look = resolve;
    });
  let isReset = false;
  socket.on('error', () => {
    isReset = true;
  });
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    look();
  });
  socket.on('close', () => {
    isClosed = true;
    look();
  });
  let isHung = false;
  const end = setTimeout(() => {
    isHung = true;
    look();
  }, hangMs);
  const answered = async (many: number) => {
    while (
      !isClosed &&
      !isHung &&
      readAnswers(heard, asks, false).filter((each) => each.isWhole).length < many
    )
      await changed();
  };
  await once(socket, 'connect');
  for (const [at, { bytes, cuts }] of asks.entries()) {
    if (isClosed || isHung) break;
    const write = writeCut(socket, Buffer.from(bytes, 'latin1'), cuts);
    if (!isPipelined) await Promise.all([write, answered(at + 1)]);
    else await write;
  }
  await answered(asks.length);
  clearTimeout(end);
  socket.destroy();
  return { heard, isHung, isReset };
}

export async function openStage(wayTo: (origin: string) => Way): Promise<Stage> {
  const exchanges = new Map<string, Exchange>();
  const got = new Map<string, string[]>();
  const sockets = new Set<Socket>();
  const upstream = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, exchanges, got);
  });
  const way = wayTo(`http://127.0.0.1:${await listen(upstream)}`);
  const forwarder = createForwarder({ upstreamMsMax: 60_000, bodyBytesMax: 10_000_000 });
  const forward = (raw: IncomingMessage, response: ServerResponse<IncomingMessage>) => {
    const origin = { forwardedFor: '127.0.0.1', proto: 'http', host: 'shop.example' } as const;
    forwarder.forward(
      { raw } as FastifyRequest,
      { raw: response, hijack() {} } as FastifyReply,
      {
        pool: way,
        path: raw.url ?? '',
        headers: requestHeaders(raw.rawHeaders, origin),
        mayRepeat: false,
        body: undefined,
        stream: undefined,
      },
      {
        onAnswer: ({ headers }) => headers,
        onFailure: () => {
          raw.resume();
          response
            .writeHead(502, ['Content-Length', '0', ...(raw.complete ? [] : ['Connection', 'close'])])
            .end();
        },
      },
    );
  };
  const server = createHttpServer((raw, response) => inTurn(response, () => forward(raw, response)));
  const port = await listen(server);
  return {
    async play(given) {
      for (const each of given.exchanges) exchanges.set(each.ask.id, each);
      const { heard, isHung, isReset } = await ask(port, given);
      const asks = given.exchanges.map((each) => each.ask);
      const answers = readAnswers(heard, asks, !isReset);
      const upstreamGot = new Map(asks.map(({ id }) => [id, got.get(id) ?? []]));
      for (const { id } of asks) {
        exchanges.delete(id);
        got.delete(id);
      }
      return { client: asks.map((_, at) => answers[at]), upstream: upstreamGot, isHung };
    },
    async [Symbol.asyncDispose]() {
      forwarder.stop();
      await way.destroy();
      server.close();
      server.closeAllConnections();
      upstream.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
