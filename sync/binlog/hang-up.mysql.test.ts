// A connection that ends while the reader waits for an answer of its session: whoever waits hears of it. Without that a
// stream never ends, and with it the whole worker stands still.
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

test('when the server says nothing more while the session is prepared', async () => {
  let answers = 0;
  // The greeting and the log-in are through by then.
  relay.damage = (bytes) => {
    answers++;
    relay.isStalled = answers === 5;
    return bytes;
  };
  try {
    await expect(open(300)).rejects.toThrow('no answer within 300 ms');
    expect(answers).toBe(5);
  } finally {
    relay.damage = undefined;
    relay.isStalled = false;
  }
});
