// What the machine says and where it ends. That it is right in every order of events is proven elsewhere
// (test/change-of-owner/proof.test.ts); this is what an operator sees of it.
import { expect, test } from 'vitest';
import type { Side } from './capability.ts';
import { type Event, next, type Replica, resume } from './change-of-owner.ts';
import { begin, type Fences } from './change-of-owner-place.ts';
import type { State, Step } from './change-of-owner-state.ts';

const attempt = { hold: 7n, turn: 8n };
const row = (owner: Side, epoch: bigint, turn: bigint | null = null) => ({
  owner,
  epoch,
  turn: turn === null ? null : { id: turn, isOver: false },
});
const both = (legacy: readonly [Side, bigint], service: readonly [Side, bigint]): Fences => ({
  legacy: row(...legacy),
  service: row(...service),
});
const cutover = { id: 1n, capability: 'reviews', from: 'legacy', to: 'service', epoch: 3n } as const;
const rollback = { ...cutover, from: 'service', to: 'legacy' } as const;
const before = (owner: Side) => both([owner, 3n], [owner, 3n]);
const after = (to: Side) => both([to, 4n], [to, 4n]);

const replica = (facts: Partial<Replica>): Replica => ({
  name: 'f1',
  heartbeat: 'alive',
  acknowledged: [7n],
  epoch: 3n,
  held: 0,
  heldMax: 100,
  oldestHeldMs: 0,
  holdAgeMsMax: 10_000,
  ...facts,
});
const replicas = (...facts: Partial<Replica>[]): Event => ({
  is: 'replicas',
  replicas: facts.map(replica),
  isLate: false,
});
const rows = (count: 0 | 1): Event => ({ is: 'rows', rows: count });

/** The events of a change that goes well, and what is done before each. */
const well = (to: Side): readonly (readonly [doing: string, Event])[] => {
  const from = to === 'service' ? 'legacy' : 'service';
  return [
    [`hold on ${from}`, rows(1)],
    ['read-replicas', replicas({})],
    [`turn on ${from}`, rows(1)],
    [`read-drain on ${to}`, { is: 'drain', turn: 8n, isLate: false }],
    [`recover-xa on ${from}`, { is: 'xa', prepared: [] }],
    [`probe on ${to}`, rows(1)],
    ['check', { is: 'checked', faults: [] }],
    [`close on ${from}`, rows(1)],
    ['read-fences', { is: 'fences', fences: after(to) }],
    ['release', replicas({ epoch: 4n })],
    ['record', rows(1)],
  ];
};

const doing = ({ action }: Step) => ('on' in action ? `${action.do} on ${action.on}` : action.do);

/** The step in which a change that went well so far is in this state. */
function arriveAt(at: State['at']): Step {
  let step = resume(cutover, attempt, before('legacy'));
  for (const [, event] of well('service')) {
    if (step.state.at === at) return step;
    step = next(step.state, event);
  }
  throw new Error(`never in ${at}`);
}

/** Undone: hold, turn, and a look at the fences; all as they were. */
function undone(step: Step): Step {
  expect(doing(step)).toBe('remove-hold on legacy');
  const unturn = next(step.state, rows(1));
  expect(doing(unturn)).toBe('end-turn on legacy');
  const recheck = next(unturn.state, { is: 'busy', blocker: undefined, isLate: false });
  return next(recheck.state, { is: 'fences', fences: before('legacy') });
}

test.each([cutover, rollback])('a change that goes well, to $to', (change) => {
  let step = resume(change, attempt, before(change.from));
  for (const [expected, event] of well(change.to)) {
    expect(doing(step)).toBe(expected);
    step = next(step.state, event);
  }
  expect(step.state).toMatchObject({ outcome: 'done', reason: `${change.to} owns at epoch 4` });
  expect(step.action).toEqual({ do: 'nothing' });
});

test('one whose owner has changed again since is superseded, and records no phase', () => {
  const later = { owner: 'legacy', epoch: 5n, turn: null } as const;
  const { state } = next(arriveAt('record').state, {
    is: 'fences',
    fences: { legacy: later, service: later },
  });
  expect(state).toMatchObject({ at: 'ended', outcome: 'superseded' });
});

const blocker = { thread: 12, user: 'nightly@10.0.0.3', seconds: 40 };
const busy: Event = { is: 'busy', blocker, isLate: true };

test.each<[State['at'], Event, string]>([
  ['hold', { is: 'refused', message: 'read only' }, 'the hold was not written on legacy: read only'],
  ['acknowledge', replicas({ heartbeat: 'silent' }), 'replica f1 is silent'],
  [
    'acknowledge',
    { ...replicas({ acknowledged: [6n] }), isLate: true } as Event,
    'the hold was over before f1',
  ],
  ['acknowledge', replicas({ held: 51 }), 'the hold of replica f1 is half full'],
  ['turn', rows(0), 'the hold is over, or legacy does not own at epoch 3'],
  ['turn', busy, 'locked by thread 12, nightly@10.0.0.3, in a transaction for 40 s'],
  ['drain', { is: 'drain', turn: 6n, isLate: true }, 'service did not apply up to the turn'],
  ['drain', replicas({ oldestHeldMs: 5_001 }), 'the hold of replica f1 is half full or half its age'],
  ['xa', { is: 'xa', prepared: ['x1'] }, 'legacy has prepared XA transactions: x1'],
  ['probe', busy, "service's fence row cannot be locked: locked by thread 12"],
  ['check', { is: 'checked', faults: ['2 keys differ'] }, '2 keys differ'],
  ['close', rows(0), 'the turn was over before legacy could be closed'],
  ['close', busy, 'legacy could not be closed: locked by thread 12'],
  ['close', { is: 'give-up', reason: 'interrupted' }, 'interrupted'],
])('in %s, %o: undone, and why', (at, event, why) => {
  const end = undone(next(arriveAt(at).state, event));
  expect(end.state).toMatchObject({ outcome: 'undone', reason: expect.stringContaining(why) });
});

test('while there is time a lock in the way is tried again, and a replica that is not ready waited for', () => {
  const waits: Event = { ...busy, isLate: false } as Event;
  for (const at of ['turn', 'close'] as const)
    expect(doing(next(arriveAt(at).state, waits))).toBe(`${at} on legacy`);
  expect(next(arriveAt('acknowledge').state, replicas({ acknowledged: [] }))).toEqual(
    arriveAt('acknowledge'),
  );
  expect(doing(next(arriveAt('acknowledge').state, replicas({ acknowledged: [], heartbeat: 'over' })))).toBe(
    'turn on legacy',
  );
});

test('who was in the way is named where the last look came too late to see it; not for another statement', () => {
  const seen: Event = { is: 'busy', blocker, isLate: false };
  const unseen: Event = { is: 'busy', blocker: undefined, isLate: false };
  const late: Event = { ...unseen, isLate: true };
  for (const at of ['turn', 'close'] as const) {
    const tried = [seen, unseen].reduce((step, event) => next(step.state, event), arriveAt(at));
    const end = undone(next(tried.state, late));
    expect(end.state).toMatchObject({ reason: expect.stringContaining('locked by thread 12') });
  }
  const events = [
    seen,
    rows(1),
    ...well('service')
      .slice(3, 7)
      .map(([, event]) => event),
    late,
  ];
  const end = undone(events.reduce((step, event) => next(step.state, event), arriveAt('turn')));
  expect(end.state).toMatchObject({ reason: 'legacy could not be closed: a lock is in the way' });
});

test('a close without an answer is read back until it is decided', () => {
  const lost = next(arriveAt('close').state, { is: 'lost', message: 'gone' });
  expect(doing(lost)).toBe('read-fence on legacy');
  const read = (fence: Fences['legacy']) => next(lost.state, { is: 'fence', row: fence });
  expect(read(row('legacy', 3n, 8n))).toEqual(lost);
  expect(doing(read(row('service', 4n)))).toBe('read-fences');
  expect(undone(read(row('legacy', 3n, 9n))).state).toMatchObject({ outcome: 'undone' });
  expect(undone(read({ ...row('legacy', 3n), turn: { id: 8n, isOver: true } })).state.at).toBe('ended');
  expect(next(lost.state, { is: 'give-up', reason: 'interrupted' }).state).toMatchObject({
    outcome: 'unfinished',
    reason: 'interrupted: whether legacy is closed is not known yet',
  });
});

test('undoing finds what somebody else did meanwhile, and waits for a turn that is not its own', () => {
  const recheck = next(next(next(arriveAt('close').state, rows(0)).state, rows(0)).state, rows(0));
  const read = (fences: Fences) => next(recheck.state, { is: 'fences', fences });
  expect(read({ ...before('legacy'), legacy: row('legacy', 3n, 6n) })).toEqual(recheck);
  expect(read(both(['service', 4n], ['legacy', 3n])).state.at).toBe('await-open');
  expect(read(after('service')).state.at).toBe('release');
  expect(read(both(['legacy', 5n], ['legacy', 5n])).state).toMatchObject({ outcome: 'superseded' });
});

test.each<[string, Fences, string]>([
  ['nothing is closed', before('legacy'), 'hold on legacy'],
  ['closed', both(['service', 4n], ['legacy', 3n]), 'read-fences'],
  ['open', after('service'), 'release'],
  ['the change before it is on its way', both(['service', 2n], ['legacy', 3n]), 'read-fences'],
])('run again where %s, it goes on from there', (_where, fences, expected) => {
  expect(doing(resume(cutover, { hold: 20n, turn: 21n }, fences))).toBe(expected);
});

test('run again after a later rollback, or where a server came back from the past, it changes nothing', () => {
  const rolledBack = resume(cutover, attempt, both(['legacy', 5n], ['legacy', 5n]));
  expect(rolledBack.state).toMatchObject({ at: 'ended', outcome: 'superseded' });
  const restored = resume(cutover, attempt, both(['legacy', 3n], ['service', 4n]));
  expect(restored.state).toMatchObject({
    outcome: 'undone',
    reason: expect.stringContaining('do not belong'),
  });
});

test.each<[string, Side, Fences, unknown]>([
  ['is asked for', 'service', before('legacy'), { change: cutover }],
  ['is on its way', 'service', both(['service', 4n], ['legacy', 3n]), { change: cutover }],
  ['is to be taken back at once', 'legacy', both(['service', 4n], ['legacy', 3n]), { change: { epoch: 4n } }],
  ['is there', 'service', after('service'), { end: { outcome: 'done' } }],
  ['is not clear', 'service', both(['legacy', 4n], ['service', 4n]), { end: { outcome: 'undone' } }],
])('a command begins where the new owner %s', (_how, to, fences, expected) => {
  expect(begin({ id: 1n, capability: 'reviews', to }, fences)).toMatchObject(expected as object);
});
