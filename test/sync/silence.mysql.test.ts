import { createConnection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { socketOf } from '../../sync/driver-socket.ts';
import { heard } from '../../sync/silence.ts';
import { startRelay } from '../relay.ts';

const url = process.env.BANYAN_TEST_LEGACY_SERVER ?? '';

test('a lost answer is found out, also when whoever asks after it gets none', {
  timeout: 120_000,
}, async () => {
  await using relay = await startRelay(Number(new URL(url).port));
  const through = new URL(url);
  through.port = String(relay.port);
  const deaf = async () => {
    const sql = await createConnection(through.href);
    sql.on('error', () => undefined);
    relay.halfClose();
    return sql;
  };
  let asked = 0;
  const sql = heard(await deaf(), () => (asked++ === 0 ? deaf() : createConnection(url)));
  await expect(sql.query('SELECT 1')).rejects.toThrow('Connection lost');
});

test('who waits for an answer hears of the end also when the connection is ended here in the very moment that it ends there', async () => {
  await using relay = await startRelay(Number(new URL(url).port));
  const through = new URL(url);
  through.port = String(relay.port);
  const driver = await createConnection(through.href);
  driver.on('error', () => undefined);
  const sql = heard(driver, () => createConnection(url));
  const asleep = sql.query('SELECT SLEEP(60)');
  // Before the driver hears of it: of a connection that is being closed it then tells nobody.
  socketOf(driver)?.prependOnceListener('error', () => sql.destroy());
  setImmediate(() => relay.cut());
  await expect(asleep).rejects.toThrow('Connection lost');
  await expect(sql.query('SELECT 1')).rejects.toThrow('closed state');
});

test('many may wait at once on one connection, and all of them hear of its end', async () => {
  await using relay = await startRelay(Number(new URL(url).port));
  const through = new URL(url);
  through.port = String(relay.port);
  const warnings: string[] = [];
  const note = ({ name }: Error) => warnings.push(name);
  process.on('warning', note);
  const driver = await createConnection(through.href);
  driver.on('error', () => undefined);
  const sql = heard(driver, () => createConnection(url));
  await sql.query('SELECT 1');
  const all = Array.from({ length: 30 }, () => sql.query('SELECT SLEEP(60)'));
  const ends = Promise.allSettled(all);
  setImmediate(() => relay.cut());
  expect((await ends).map(({ status }) => status)).toEqual(all.map(() => 'rejected'));
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
