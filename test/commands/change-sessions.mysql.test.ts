// A command that gives up must end: what it has opened, or is still opening, would keep its process.
import { type Connection, createConnection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { ChangeSessions } from '../../scripts/change-sessions.ts';
import { serverUrl } from '../databases.ts';

/** Sessions on the test servers, each of which is known. */
function known(connect: (side: 'legacy' | 'service') => Promise<void>) {
  const opened: Connection[] = [];
  const sessions = new ChangeSessions(async (side) => {
    await connect(side);
    const sql = await createConnection(serverUrl(side === 'legacy' ? 'legacy' : 'services'));
    opened.push(sql);
    return sql;
  });
  return { opened, sessions };
}

test('one that is still on its way when the other side cannot be reached is closed when it comes', async () => {
  const isOver = Promise.withResolvers<void>();
  const { opened, sessions } = known((side) =>
    side === 'legacy' ? isOver.promise : Promise.reject(new Error('not there')),
  );
  const late = sessions.sql('legacy');
  await expect(sessions.both()).rejects.toThrow('not there');
  sessions[Symbol.dispose]();
  isOver.resolve();
  await late;
  expect(opened).toHaveLength(1);
  await expect(opened[0]?.query('SELECT 1')).rejects.toThrow('closed state');
  await expect(sessions.sql('legacy')).rejects.toThrow('have ended');
});

test('two who ask at the same time get one, and one that fails is not kept', async () => {
  let isThere = false;
  const { opened, sessions } = known(() =>
    isThere ? Promise.resolve() : Promise.reject(new Error('not there')),
  );
  await expect(sessions.sql('legacy')).rejects.toThrow('not there');
  isThere = true;
  const [one, other] = await Promise.all([sessions.sql('legacy'), sessions.sql('legacy')]);
  expect(one).toBe(other);
  expect(opened).toHaveLength(1);
  sessions[Symbol.dispose]();
});
