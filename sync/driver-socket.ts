// What mysql2 keeps to itself: its socket, and that there will be no answer any more.
import { Socket } from 'node:net';

/** @param connection of either kind, with promises or with callbacks */
export function socketOf(connection: object): Socket | undefined {
  const core: unknown = Reflect.get(connection, 'connection') ?? connection;
  const stream: unknown = typeof core === 'object' && core !== null ? Reflect.get(core, 'stream') : undefined;
  return stream instanceof Socket ? stream : undefined;
}

/** Who waits for an answer, by its socket, which has one listener, however many they are. */
const waiting = new WeakMap<Socket, Set<(error: Error) => void>>();

function waitingAt(socket: Socket): Set<(error: Error) => void> {
  const known = waiting.get(socket);
  if (known) return known;
  const all = new Set<(error: Error) => void>();
  waiting.set(socket, all);
  socket.once('close', () => {
    const error = new Error('Connection lost: it was closed before the answer had come');
    for (const tell of all) tell(error);
  });
  return all;
}

/**
 * The driver's answer. Where a connection is ended here in the moment that it ends there, the driver takes the one for the other, and
 * tells nobody who waits.
 * @throws Error when the connection is closed before it
 */
export async function unlessClosed<T>(connection: object, answer: Promise<T>): Promise<T> {
  const socket = socketOf(connection);
  if (!socket) return answer;
  const closed = Promise.withResolvers<never>();
  const all = waitingAt(socket).add(closed.reject);
  try {
    return await Promise.race([answer, closed.promise]);
  } finally {
    all.delete(closed.reject);
  }
}
