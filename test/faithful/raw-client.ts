// A client that says bytes, and keeps what it hears. Texts are bytes as latin1.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Answers, type Asked, readAnswers } from './read-strictly.ts';

export type RawClient = {
  readonly socket: Socket;
  heard(): string;
  /** The other side has ended it, or it broke. */
  isClosed(): boolean;
  say(bytes: string): void;
  /** @param asked as readAnswers has it */
  answers(asked?: readonly Asked[]): Answers;
  /** @returns whether it came to be in time */
  until(condition: () => boolean, msMax: number): Promise<boolean>;
  close(): void;
};

export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: false });
  let heard = '';
  let isClosed = false;
  let changed: (() => void) | undefined;
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    changed?.();
  });
  socket.on('error', () => {});
  for (const event of ['end', 'close'])
    socket.on(event, () => {
      isClosed = true;
      changed?.();
    });
  await once(socket, 'connect');
  return {
    socket,
    heard: () => heard,
    isClosed: () => isClosed,
    say: (bytes) => void socket.write(bytes, 'latin1'),
    answers: (asked = []) => readAnswers(heard, asked, isClosed),
    async until(condition, msMax) {
      if (condition()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), msMax);
      changed = () => {
        if (condition()) resolve(true);
      };
      const came = await promise;
      clearTimeout(timer);
      changed = undefined;
      return came;
    },
    close: () => socket.destroy(),
  };
}
