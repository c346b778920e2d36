// A connection that ends while the reader waits for an answer of its session: whoever waits hears of it. Without that a
// stream never ends, and with it the whole worker stands still.
import diagnostics from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverUrl } from '../../test/databases.ts';
import { openSession, type Session } from './session.ts';
import { type Relay, startRelay } from './test-relay.ts';

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay(Number(new URL(serverUrl('legacy')).port));
});
afterAll(() => relay?.[Symbol.asyncDispose]());

const open = (connectMsMax = 10_000): Promise<Session> => {
  const { username, password } = new URL(serverUrl('legacy'));
  return openSession({
    connection: { host: '127.0.0.1', port: relay.port, user: username, password },
    serverId: 4_000_000_001,
    replicaUuid: 'ba27a900-0000-4000-8000-0000ee6b2801',
    heartbeatMs: 1_000,
    queueBytesMax: 1_000_000,
    connectMsMax,
  });
};
// By file nothing is asked before the registration.
const from = { gtid: undefined, at: { file: 'binlog.000001', offset: 4 } };

test.each([
  ['is lost', () => relay.cutAll()],
  ['is closed here', (session: Session) => session.close()],
] as const)('when it %s before the registration is answered', async (_, end) => {
  const session = await open();
  relay.isStalled = true;
  try {
    const dumping = session.dump(from);
    setImmediate(() => end(session));
    await expect(dumping).rejects.toThrow();
  } finally {
    relay.isStalled = false;
    session.close();
  }
});

test.each([
  ['before the registration is answered', (session: Session) => session.dump(from)],
  ['before a question is answered', (session: Session) => session.now()],
] as const)('when it is closed here in the very moment that it ends there, %s', async (_, ask) => {
  let socket: Socket | undefined;
  const see = (message: unknown) => {
    if (typeof message === 'object' && message && 'socket' in message && message.socket instanceof Socket)
      socket ??= message.socket;
  };
  diagnostics.subscribe('net.client.socket', see);
  const session = await open();
  diagnostics.unsubscribe('net.client.socket', see);
  relay.isStalled = true;
  try {
    const asked = ask(session);
    // Before the driver hears of it: of a connection that is being closed it then tells nobody.
    for (const news of ['error', 'close']) socket?.prependOnceListener(news, () => session.close());
    setImmediate(() => relay.cutAll());
    await expect(asked).rejects.toThrow('before the answer had come');
  } finally {
    relay.isStalled = false;
  }
});

test('when the server says nothing more while the session is prepared', async () => {
  let answers = 0;
  // The greeting and the log-in are through by then.
  relay.damage = (bytes) => {
    answers++;
    relay.isStalled = answers === 5;
    return bytes;
  };
  try {
    await expect(open(2_000)).rejects.toThrow('no answer within 2000 ms');
    expect(answers).toBe(5);
  } finally {
    relay.damage = undefined;
    relay.isStalled = false;
  }
});
