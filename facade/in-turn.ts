// Requests that a client sends one behind another are served one after another: the second may read what the first has written, and
// what stands behind a refused one may be nobody's request (RFC 9112, 9.3.2).
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** So many have been read of each connection. */
const waiting = new WeakMap<Socket, number>();
/** Then no more are, and only then: who does not read does not notice either that the client has left. */
const waitingMax = 32;

/** As Node itself does it when answers pile up: any other pause it would end with the next request that it finds in what it has read. */
function stopReading(socket: Socket): void {
  Reflect.set(socket, '_paused', true);
  socket.pause();
}

/** @param serve is called at once, or in its turn, or never, when the connection ends before */
export function inTurn(response: ServerResponse, serve: () => void): void {
  // Node gives the socket to one answer after the other.
  if (response.socket) {
    serve();
    return;
  }
  const { socket } = response.req;
  const others = waiting.get(socket) ?? 0;
  waiting.set(socket, others + 1);
  if (others + 1 >= waitingMax) stopReading(socket);
  response.once('socket', () => {
    const left = (waiting.get(socket) ?? 1) - 1;
    waiting.set(socket, left);
    if (left === 0) socket.emit('drain'); // then Node reads on
    process.nextTick(serve);
  });
}
