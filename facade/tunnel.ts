// Websockets: the handshake is passed on as it is, and only when the upstream has accepted it are the two
// sockets joined. From then on nobody reads what goes through.
import { request as httpRequest, type IncomingMessage, type RequestOptions, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import type { Logger } from 'pino';
import { type FaultCode, faultBody, faultOf, faults, UpstreamError } from './errors.ts';
import type { Found } from './find-instances.ts';
import { endToEnd, type HeaderList } from './headers.ts';
import type { Limits } from './limits.ts';

export type Handshake = {
  readonly upstream: Found;
  readonly path: string;
  /** Without hop-by-hop headers: the tunnel says its own. */
  readonly headers: HeaderList;
};

export type Tunnels = {
  open(request: IncomingMessage, socket: Duplex, head: Buffer, handshake: Handshake): void;
  /** Answers a handshake without any upstream. */
  refuse(request: IncomingMessage, socket: Duplex, code: FaultCode): void;
  count(): number;
  /** Ends every tunnel at once. */
  stop(): void;
};

/** A normal answer on a socket that Node has already handed over. */
function answerOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.once('finish', () => socket.end());
  return response;
}

function statusLine(answer: IncomingMessage, headers: HeaderList): string {
  let text = `HTTP/1.1 101 ${answer.statusMessage || 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${answer.headers.upgrade}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function join(client: Socket, upstream: Socket): void {
  for (const socket of [client, upstream]) {
    socket.setTimeout(0);
    socket.setNoDelay(true);
    // A peer that vanished without a word is noticed by the kernel.
    socket.setKeepAlive(true, 30_000);
  }
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.pipe(to); // passes the end on too: each direction closes by itself
    from.once('error', () => to.destroy());
    from.once('close', () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}

/** Of what a client says before it knows whether it is a websocket. */
const earlyBytesMax = 64 * 1024;

/**
 * Reads on while the upstream is asked: only who reads notices that a client has left.
 * @param left the client has nothing more to say, or has gone
 * @returns ends that, and gives what has come
 */
function readEarly(socket: Socket, head: Buffer, left: () => void): () => Buffer {
  const parts = [head];
  let bytes = head.length;
  const take = (chunk: Buffer) => {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > earlyBytesMax) socket.pause();
  };
  socket.on('data', take).once('end', left).once('close', left);
  return () => {
    socket.off('data', take).off('end', left).off('close', left).pause();
    return Buffer.concat(parts);
  };
}

export function createTunnels(limits: Limits, log: Logger): Tunnels {
  const open = new Set<Duplex>();

  function refuse(request: IncomingMessage, socket: Duplex, code: FaultCode): void {
    if (socket.destroyed) return;
    const body = faultBody(code);
    answerOn(request, socket)
      .writeHead(faults[code].status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      .end(body);
  }

  return {
    refuse,
    count: () => open.size,
    open(request, duplex, head, handshake) {
      const socket = duplex as Socket;
      if (open.size >= limits.websocketsMax) return refuse(request, socket, 'too_many_websockets');
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      socket.setTimeout(0); // the handshake has its own limit, below
      const url = new URL(handshake.upstream.origin);
      const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)({
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port || undefined,
        path: handshake.path,
        method: 'GET',
        agent: false,
        ...(handshake.upstream.servername !== undefined && { servername: handshake.upstream.servername }),
        setHost: false,
        allowHalfOpen: true,
        headers: [...handshake.headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
      } as RequestOptions & { allowHalfOpen: boolean });
      const timer = setTimeout(
        () => outgoing.destroy(new UpstreamError('upstream_timeout', 'no answer to a websocket handshake')),
        limits.upstreamMsMax,
      );
      const early = readEarly(socket, head, () => {
        outgoing.destroy();
        socket.destroy();
      });
      outgoing.once('close', () => clearTimeout(timer));
      let isAnswered = false;
      const failed = (error: Error) => {
        if (socket.destroyed || isAnswered) return;
        log.warn({ err: error, upstream: handshake.upstream.origin }, 'a websocket could not be opened');
        refuse(request, socket, faultOf(error));
      };
      outgoing.on('error', failed);
      outgoing.once('upgrade', (answer, upstream, upstreamHead) => {
        clearTimeout(timer);
        upstream.on('error', () => upstream.destroy());
        if (socket.destroyed || answer.headers.upgrade?.toLowerCase() !== 'websocket') {
          upstream.destroy();
          return failed(new UpstreamError('upstream_failed', 'a switch to another protocol'));
        }
        const said = early();
        socket.write(statusLine(answer, endToEnd(answer.rawHeaders)), 'latin1');
        if (upstreamHead.length > 0) socket.write(upstreamHead);
        if (said.length > 0) upstream.write(said);
        join(socket, upstream);
      });
      outgoing.once('response', (answer) => {
        clearTimeout(timer);
        if (answer.statusCode === 101) {
          outgoing.destroy();
          return failed(new UpstreamError('upstream_failed', 'a switch to no protocol'));
        }
        isAnswered = true;
        const response = answerOn(request, socket);
        response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
        pipeline(answer, response, (error) => {
          if (error) socket.destroy();
        });
      });
      outgoing.end();
    },
    stop() {
      for (const socket of open) socket.destroy();
    },
  };
}
