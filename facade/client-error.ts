// Requests that Node's parser does not accept are answered on the bare socket.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf, type FaultCode, faultBody, faults } from './errors.ts';

const byCode: Readonly<Record<string, FaultCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

export function answerClientError(error: Error, socket: Socket): void {
  const code = codeOf(error);
  if (code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  // After the head of an answer, only the end of the connection says that something is wrong.
  if (isAnswering(socket)) return void socket.destroy();
  const fault = byCode[code] ?? 'bad_request';
  const body = faultBody(fault);
  const { status } = faults[fault];
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** Node keeps the answer under way on the socket, as its own default handler reads it. */
function isAnswering(socket: Socket): boolean {
  const message: unknown = Reflect.get(socket, '_httpMessage');
  return typeof message === 'object' && message !== null && Reflect.get(message, 'headersSent') === true;
}
