// X is lost after its close and before Y opened: nobody takes writes, and nobody would. Y is opened by hand, with the
// proof that everything is there, and by nothing less.
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { journal, newNumber, pinChange, takeChangeLease } from '../../capability/change-store.ts';
import { otherSide, type Pair, type Side, startPair, things } from '../sync/pair.ts';
import { until } from '../sync/until.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await startPair({ tables: ['t'], ddl: 'CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);' });
  await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const write = (side: Side, id: number) =>
  pair.server(side).query(`INSERT INTO ${pair.schema(side)}.t VALUES (${id}, ${id})`);
const isThere = async (side: Side, id: number) =>
  (await pair.server(side).query(`SELECT 1 FROM ${pair.schema(side)}.t WHERE id = ${id}`)).length === 1;

/** Turns the owner, and lets the turn arrive; then closes it with nobody to read that. */
async function closeUnread(from: Side, turn: number): Promise<void> {
  const x = pair.server(from);
  const { epoch } = await pair.owner(from);
  await x.query(
    'UPDATE banyan.banyan_fence SET turn_id = ?, turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) + 10 WHERE owner = ?',
    [turn, from],
  );
  await until(`turn ${turn} to arrive`, async () => {
    const [row] = await pair
      .server(otherSide(from))
      .query('SELECT source_turn FROM banyan.banyan_stream WHERE source = ?', [from]);
    return Number(row?.source_turn) === turn;
  });
  x.relay.refuse();
  await x.query(
    'UPDATE banyan.banyan_fence SET owner = ?, epoch = epoch + 1, turn_id = NULL, turn_deadline = NULL WHERE turn_id = ? AND epoch = ?',
    [otherSide(from), turn, epoch],
  );
}

const open = async (...words: string[]) => {
  const { code, stdout, stderr } = await pair.banyan('open', things, '--source-lost', '--json', ...words);
  const said: {
    executed?: boolean;
    keep?: string | null;
    gates?: { gate: string; verdict: string; evidence: string }[];
  } = stdout === '' ? {} : JSON.parse(stdout);
  const closed = (said.gates ?? []).filter(({ verdict }) => verdict === 'fail').map(({ gate }) => gate);
  return { code, stderr, executed: said.executed, keep: said.keep, gates: said.gates, closed };
};

test('the service is lost on the way back: refused while it lives and without proof, opened by the journal; when it is back after all the stream goes on', {
  timeout: 120_000,
}, async () => {
  await pair.turn('service');
  await pair.legacy.query("UPDATE banyan.capability SET phase = 'owned' WHERE name = ?", [things]);
  await write('service', 1);
  await pair.aligned();
  const sql = await createConnection(`${pair.legacy.url}/banyan`);
  const change = { id: await newNumber(sql, things, null, 'begin'), capability: things };
  const turn = await newNumber(sql, things, change.id, 'turn-number');
  await closeUnread('service', Number(turn));

  // It lives; and then it is only paused.
  expect(await open('--execute')).toMatchObject({
    code: 3,
    executed: false,
    closed: expect.arrayContaining(['lost']),
  });
  pair.service.pause();
  expect(await open('--execute')).toMatchObject({ code: 3, closed: expect.arrayContaining(['lost']) });
  pair.service.resume();
  await pair.service.crash();

  // Nobody says that it was closed: then not. What an earlier turn was closed by says nothing of this one.
  await takeChangeLease(sql, things, 'the command');
  await pinChange(sql, { ...change, from: 'service', to: 'legacy', epoch: 2n }, 'the command');
  await journal(sql, change, 'close', `5 ${turn} a lock was in the way`);
  await journal(sql, change, 'close', '5 6 1 row');
  expect(await open('--execute')).toMatchObject({ code: 3, executed: false, closed: ['drained'] });
  await journal(sql, change, 'close', `5 ${turn} 1 row`);
  expect(await open('--execute')).toMatchObject({ code: 0, executed: true, keep: null });
  expect(await pair.owner('legacy')).toEqual({ owner: 'legacy', epoch: 3 });
  expect(await open('--execute')).toMatchObject({ code: 0, executed: false, closed: [] });
  const deeds = await pair.legacy.query("SELECT capability FROM banyan.audit WHERE action = 'open'");
  expect(deeds).toEqual([{ capability: things }]);
  const [row] = await pair.legacy.query('SELECT phase FROM banyan.capability WHERE name = ?', [things]);
  expect(row?.phase).toBe('reads');
  sql.destroy();

  // It was not lost for good: its stream meets the close of what is open already.
  await write('legacy', 2);
  await pair.service.start();
  pair.service.relay.accept();
  await until('the row that was written meanwhile', () => isThere('service', 2), {
    explain: async () => `${await pair.faults()} ${pair.logs()}`,
  });
  await pair.aligned();
  expect(await pair.owner('service')).toEqual({ owner: 'legacy', epoch: 3 });
  expect(await pair.faults()).toEqual([]);
  expect(await pair.compare()).toEqual([]);
});

test('legacy is lost with the control store: opened by the word of who saw the close, and no other turn', {
  timeout: 120_000,
}, async () => {
  await write('legacy', 3);
  await pair.aligned();
  await closeUnread('legacy', 700);
  await pair.legacy.crash();
  const seen = (turn: number) => ['--turn', `${turn}`, '--close-seen', '--reason', 'output of the cutover'];
  expect((await open('--turn', '700')).code).toBe(2);
  expect((await open('--turn', '700', '--close-seen')).code).toBe(2);
  const [without, other, right] = await Promise.all([
    open('--execute'),
    open('--execute', ...seen(699)),
    open(...seen(700)),
  ]);
  expect(without).toMatchObject({ code: 3, closed: ['closed', 'drained'] });
  expect(without.gates?.find(({ gate }) => gate === 'closed')?.evidence).toContain('--close-seen');
  expect(other).toMatchObject({ code: 3, closed: ['drained'] });
  expect(right).toMatchObject({ code: 0, executed: false });
  expect(await pair.owner('service')).toEqual({ owner: 'legacy', epoch: 3 });
  const opened = await open('--execute', ...seen(700));
  expect(opened).toMatchObject({ code: 0, executed: true });
  // What cannot be in the audit is said.
  expect(JSON.parse(opened.keep ?? '{}')).toMatchObject({
    capability: things,
    action: 'open',
    reason: 'output of the cutover',
    detail: { lost: 'legacy', to: 'service', epoch: '4', turn: '700', closedBy: 'operator' },
  });
  expect(await pair.owner('service')).toEqual({ owner: 'service', epoch: 4 });
  await write('service', 4);
});
