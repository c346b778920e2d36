// Requests that Node's parser does not accept are answered on the bare socket, in their turn.
import { ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf, type FaultCode, faultBody, faults } from './errors.ts';

const byCode: Readonly<Record<string, FaultCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

/** What still comes in is read for so long: a socket that is closed before loses what it was told last (RFC 9112, 9.6). */
const lingerMsMax = 500;

/** Those that wait for their turn, or have had it: Node tells of each further packet. */
const known = new WeakSet<Socket>();

export function answerClientError(error: Error, socket: Socket): void {
  if (known.has(socket)) return;
  const code = codeOf(error);
  if (code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  known.add(socket);
  answerInTurn(byCode[code] ?? 'bad_request', socket);
}

/** The faulty request may stand behind others, which have their answers first. */
function answerInTurn(fault: FaultCode, socket: Socket): void {
  const answer = answerUnderWay(socket);
  if (answer?.req.complete) {
    answer.once('finish', () => {
      if (socket.writable) answerInTurn(fault, socket);
    });
  } else if (answer?.headersSent) {
    // After the head of an answer, only the end of the connection says that something is wrong.
    socket.destroy();
  } else say(fault, socket);
}

function say(fault: FaultCode, socket: Socket): void {
  const body = faultBody(fault);
  const { status } = faults[fault];
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  const timer = setTimeout(() => socket.destroy(), lingerMsMax);
  socket.once('close', () => clearTimeout(timer));
}

/** Node keeps it on the socket, as its own default handler reads it; when it is finished, the next one. */
export function answerUnderWay(socket: object): ServerResponse | undefined {
  const message: unknown = Reflect.get(socket, '_httpMessage');
  return message instanceof ServerResponse ? message : undefined;
}
