// What resuming at another server and opening by hand are decided by: each fact that must hold, taken away.
import { expect, test } from 'vitest';
import type { FenceRow } from '../../capability/fence.ts';
import { closedBy, judgeOpen, type OpenFacts } from '../../scripts/open-proofs.ts';
import { belongTogether, judgeResume, type ResumeFacts } from '../../scripts/resume-checks.ts';

const row = (owner: FenceRow['owner'], epoch: bigint): FenceRow => ({ owner, epoch, turn: null });
const failed = (verdicts: readonly { gate: string; verdict: string }[]) =>
  verdicts.filter(({ verdict }) => verdict === 'fail').map(({ gate }) => gate);

test.each([
  [row('legacy', 3n), row('legacy', 3n), true],
  // Closed, and not open yet.
  [row('service', 4n), row('legacy', 3n), true],
  [row('service', 4n), row('legacy', 5n), true],
  // Ahead, and it names itself: the other one came back from the past.
  [row('legacy', 3n), row('service', 4n), false],
  [row('legacy', 5n), row('service', 4n), false],
  [row('legacy', 3n), row('service', 3n), false],
  [row('service', 6n), row('legacy', 3n), false],
])('fences %o and %o belong together: %s', (legacy, service, expected) => {
  expect(belongTogether({ legacy, service })).toBe(expected);
});

const stream = {
  stream: 'reviews',
  applies: false,
  knownServer: 'mariadb:11',
  gtid: '11-11-7',
  refusal: undefined,
  stopAgeMs: 60_000,
};
const resumable: ResumeFacts = {
  capability: 'reviews',
  side: 'legacy',
  server: 'mariadb:13',
  streams: [stream],
  fences: { legacy: row('service', 2n), service: row('service', 2n) },
  hold: undefined,
  verifiedAgeMs: 30_000,
};
const turned = { ...row('service', 2n), turn: { id: 9n, isOver: false } };
test.each<[string, Partial<ResumeFacts>, string[]]>([
  ['all holds', {}, []],
  ['the server that was read', { server: 'mariadb:11' }, ['server']],
  ['an old fence row', { fences: { ...resumable.fences, legacy: row('legacy', 1n) } }, ['fences']],
  ['a hold in force', { hold: { id: 4n, isOver: false } }, ['hold']],
  ['a hold that is over', { hold: { id: 4n, isOver: true } }, []],
  ['a turn in force', { fences: { ...resumable.fences, legacy: turned } }, ['hold']],
  ['a turn in force on the other side', { fences: { ...resumable.fences, service: turned } }, []],
  ['no GTID', { streams: [{ ...stream, gtid: undefined }] }, ['position']],
  ['it cannot be read', { streams: [stream, { ...stream, refusal: 'purged' }] }, ['position']],
  ['verified before the stop', { verifiedAgeMs: 70_000 }, ['verified']],
  ['never verified', { verifiedAgeMs: undefined }, ['verified']],
])('resume: %s', (_, facts, expected) => {
  expect(failed(judgeResume({ ...resumable, ...facts }, []))).toEqual(expected);
});

test('only what was not verified can be answered for', () => {
  const facts = { ...resumable, server: 'mariadb:11', verifiedAgeMs: undefined };
  const verdicts = judgeResume(facts, ['server', 'verified']);
  expect(failed(verdicts)).toEqual(['server']);
  expect(verdicts.at(-1)).toMatchObject({ gate: 'verified', verdict: 'overridden' });
});

const openable: OpenFacts = {
  from: 'legacy',
  at: 'db1:3306',
  answer: undefined,
  hasMoved: false,
  watchedMs: 3_000,
  fence: row('legacy', 3n),
  met: { owner: 'legacy', epoch: 3n, turn: 8n },
  closed: { by: 'journal', change: 6n, turn: 8n, detail: '1 row' },
  notClosed: '',
};
test.each<[string, Partial<OpenFacts>, string[]]>([
  ['every proof', {}, []],
  ['it answers', { answer: 'a database server' }, ['lost']],
  ['its stream moves', { hasMoved: true }, ['lost']],
  ['the row that is left is of another epoch', { fence: row('legacy', 4n) }, ['fences']],
  ['the stream has read another owner', { met: { owner: 'service', epoch: 3n, turn: 8n } }, ['fences']],
  ['an older turn', { met: { owner: 'legacy', epoch: 3n, turn: 7n } }, ['drained']],
  ['a newer turn', { met: { owner: 'legacy', epoch: 3n, turn: 9n } }, ['drained']],
  ['no close', { closed: undefined }, ['closed', 'drained']],
])('open: %s', (_, facts, expected) => {
  expect(failed(judgeOpen({ ...openable, ...facts }))).toEqual(expected);
});

test('the journal proves a close by its answer, or by the row that was read back; nothing else does', () => {
  const change = { id: 6n, to: 'service', epoch: 3n } as const;
  const of = (step: string, detail: string) => closedBy(change, [{ step, detail }])?.turn;
  expect(of('close', '7 8 1 row')).toBe(8n);
  expect(of('read-close', '7 8 service at 4')).toBe(8n);
  expect(of('close', '7 8 0 rows')).toBe(undefined);
  expect(of('close', '7 8 Connection lost')).toBe(undefined);
  expect(of('read-close', '7 8 legacy at 3')).toBe(undefined);
  expect(of('turn', '7 8 1 row')).toBe(undefined);
  // The newest one counts.
  const steps = [
    { step: 'close', detail: '7 8 1 row' },
    { step: 'close', detail: '9 10 1 row' },
  ];
  expect(closedBy(change, steps)?.turn).toBe(10n);
});
