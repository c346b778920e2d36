// An upstream that keeps every byte it is sent, and answers as one of two kinds of server would: one that takes nothing but what the
// RFC has, and one that takes anything. Texts are bytes as latin1.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { readRequestsLeniently } from './read-leniently.ts';
import type { ReadRequest } from './read-strictly.ts';
import { readRequests, valuesOf } from './read-strictly.ts';

export type Flavour = 'strict' | 'lenient';

/** What it says instead of an echo, to requests for `/said`. */
export type Script = {
  readonly say: string;
  /** Comes when the connection may be idle again. */
  readonly late?: string;
  readonly ending: 'keep' | 'close' | 'reset';
};

export type Slice = {
  readonly connection: number;
  readonly bytes: string;
  readonly isClosed: boolean;
  /** Numbers of the requests that were answered, as the echo has them. */
  readonly answered: readonly number[];
};

type Connection = {
  readonly socket: Socket;
  bytes: string;
  /** Of those up to the last whole request. */
  consumed: number;
  isClosed: boolean;
  /** From here on nothing is read as a request. */
  isTunnel: boolean;
  isContinued: boolean;
  answered: number[];
};

export type Mark = ReadonlyMap<Connection, { readonly bytes: number; readonly answered: number }>;

export type RecordingUpstream = {
  readonly port: number;
  flavour: Flavour;
  script: Script | undefined;
  mark(): Mark;
  /** What has come since, a connection each. */
  since(mark: Mark): Slice[];
  open(): number;
  /** Whether connections that come are read at all. */
  isReading: boolean;
  /** Ends every connection, so that those to come are new. */
  dropAll(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

const text = (status: string, headers: string, body: string) =>
  `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

const tokens = ({ headers }: ReadRequest, name: string) =>
  valuesOf(headers, name).flatMap((value) => value.toLowerCase().split(/\s*,\s*/));

/** RFC 6455, 4.2.2: some proxies look at it. */
const acceptOf = (key: string) =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

function echo(request: ReadRequest, number: number): string {
  const { method, target, body } = request;
  const said = text('200 OK', `X-Echo: ${number} ${method} ${target.slice(0, 100)}\r\n`, body);
  return method === 'HEAD' ? said.slice(0, said.indexOf('\r\n\r\n') + 4) : said;
}

/** A strict one wants all that RFC 6455 wants; a lenient one switches to whatever it is asked for. */
function maySwitch(request: ReadRequest, flavour: Flavour): boolean {
  if (tokens(request, 'upgrade').length === 0) return false;
  if (flavour === 'lenient') return true;
  return (
    request.method === 'GET' &&
    tokens(request, 'upgrade').includes('websocket') &&
    tokens(request, 'connection').includes('upgrade') &&
    valuesOf(request.headers, 'sec-websocket-version')[0] === '13'
  );
}

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const connections = new Set<Connection>();
  let requests = 0;

  function answer(connection: Connection, request: ReadRequest): void {
    const { socket } = connection;
    requests += 1;
    connection.answered.push(requests);
    if (request.target.startsWith('/hang')) return;
    const { script } = upstream;
    if (script && request.target.startsWith('/said')) {
      socket.write(script.say, 'latin1');
      if (script.late !== undefined) setTimeout(() => socket.write(script.late ?? '', 'latin1'), 3);
      if (script.ending === 'close') socket.end();
      if (script.ending === 'reset') setTimeout(() => socket.resetAndDestroy(), 3);
      return;
    }
    if (maySwitch(request, upstream.flavour)) {
      const to = valuesOf(request.headers, 'upgrade')[0];
      connection.isTunnel = true;
      const accept = acceptOf(valuesOf(request.headers, 'sec-websocket-key')[0] ?? '');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${to}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      return;
    }
    if (tokens(request, 'upgrade').includes('websocket'))
      socket.write(text('426 Upgrade Required', '', 'no'));
    else socket.write(echo(request, requests), 'latin1');
    const asks = tokens(request, 'connection');
    if (asks.includes('close') || (request.version === '1.0' && !asks.includes('keep-alive'))) socket.end();
  }

  function read(connection: Connection): void {
    const { socket } = connection;
    if (connection.isTunnel) return;
    const fresh = connection.bytes.slice(connection.consumed);
    const isStrict = upstream.flavour === 'strict';
    const found = isStrict ? readRequests(fresh) : readRequestsLeniently(fresh);
    connection.consumed = connection.bytes.length - found.rest.length;
    if (found.requests.length > 0) connection.isContinued = false;
    for (const request of found.requests) answer(connection, request);
    if (found.fault !== undefined) {
      socket.end(text('400 Bad Request', 'Connection: close\r\nX-Upstream: refused\r\n', found.fault));
      connection.isTunnel = true;
    } else if (!connection.isContinued && /\r\nexpect: *100-continue\r\n[\s\S]*\r\n\r\n/i.test(found.rest)) {
      connection.isContinued = true;
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    }
  }

  const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
    const connection: Connection = {
      socket,
      bytes: '',
      consumed: 0,
      isClosed: false,
      isTunnel: false,
      isContinued: false,
      answered: [],
    };
    connections.add(connection);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      connection.isClosed = true;
    });
    socket.on('data', (chunk) => {
      connection.bytes += chunk.toString('latin1');
      read(connection);
    });
    if (!upstream.isReading) socket.pause();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');

  const upstream: RecordingUpstream = {
    port: address.port,
    flavour: 'strict',
    isReading: true,
    script: undefined,
    mark() {
      for (const each of connections) if (each.isClosed) connections.delete(each);
      return new Map(
        [...connections].map((each) => [each, { bytes: each.bytes.length, answered: each.answered.length }]),
      );
    },
    since: (mark) =>
      [...connections].map((each, connection) => ({
        connection,
        bytes: each.bytes.slice(mark.get(each)?.bytes ?? 0),
        isClosed: each.isClosed,
        answered: each.answered.slice(mark.get(each)?.answered ?? 0),
      })),
    open: () => [...connections].filter((each) => !each.isClosed).length,
    dropAll() {
      for (const { socket } of connections) socket.destroy();
      connections.clear();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const { socket } of connections) socket.destroy();
    },
  };
  return upstream;
}
