// A ramp under load, through two facades: a service that does well takes over step by step; one that fails, in whatever way, has its
// reads back on legacy within five seconds, whether or not the ramp still runs, and no client sees it. About 60 s.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { logIn } from '../story/log-in.ts';
import { until } from '../sync/until.ts';
import { type Answer, hurried, type RampStage, startRampStage } from './ramp-stage.ts';

const backWithinMs = 5_000;

const ramp = (steps: string, every: string) => [
  ...['ramp', 'reviews', '--steps', steps, '--every', every, '--execute'],
];

let stage: RampStage;
beforeAll(async () => {
  stage = await startRampStage();
}, 120_000);
afterEach(() => stage?.rest());
afterAll(() => stage?.[Symbol.asyncDispose]());

test('a plan changes nothing; steps that the service does well in lead to 100 %, and are in the audit', async () => {
  const words = ['ramp', 'reviews', '--steps', '30,60,100', '--every', '4s'];
  expect(await stage.done(...words)).toMatchObject({ executed: false, steps: [30, 60, 100], percent: 0 });
  expect(await stage.isEverywhere(0)).toBe(true);
  const load = stage.startLoad();
  const said = await stage.done(...words, '--execute', ...hurried);
  await load.end();
  expect(said).toMatchObject({ executed: true, ok: true, outcome: 'done', percent: 100 });
  const steps = Array.isArray(said.steps) ? said.steps : [];
  expect(steps.map(({ percent }) => percent)).toEqual([30, 60, 100]);
  for (const { verdicts, facades: byFacade } of steps) {
    expect(verdicts.map(({ gate, verdict }: Answer) => [gate, verdict])).toEqual([
      ['samples', 'pass'],
      ['errors', 'pass'],
      ['latency', expect.stringMatching(/pass|overridden/)],
      ['parity', 'pass'],
    ]);
    expect(Object.keys(byFacade)).toHaveLength(3);
  }
  expect(await stage.isEverywhere(100)).toBe(true);
  expect(await stage.newest('ramp-step')).toMatchObject({
    reason: 'a test',
    detail: { percent: 100, figures: { service: { reads: expect.any(Number), errors: 0 } } },
  });
  console.log(JSON.stringify(steps.map(({ percent, figures }) => ({ percent, ...figures }))));
}, 120_000);

test.each([
  // The shadow sees errors as answers that differ, and may see enough of them first.
  ['broken', 'gone', /failed|differently/],
  ['failing', 'error', /failed|differently/],
  ['saying errors in HTTP 200', 'says-error', /failed|differently/],
  ['slow', 'slow', /took longer|failed/],
  ['silent', 'silent', /took longer|failed/],
] as const)(
  'a service that is %s has its reads back on legacy in time, and no client fails',
  async (name, mode, why) => {
    const load = stage.startLoad();
    await stage.half();
    stage.service.becomes(mode);
    const ms = await stage.backAtLegacy();
    const status = await stage.done('status');
    const sent = await load.end();
    console.log(`${name}: back after ${Math.round(ms)} ms, ${sent} reads`);
    expect(ms).toBeLessThan(backWithinMs);
    expect(await stage.newest('return')).toMatchObject({
      actor: expect.stringMatching(/^facade /),
      reason: expect.stringMatching(why),
      detail: { reads: 0, figures: { service: { reads: expect.any(Number) } } },
    });
    expect(status.capabilities).toMatchObject([
      { name: 'reviews', effectivePercent: 0, interlock: expect.stringMatching(/by themselves/) },
      {},
    ]);
  },
  120_000,
);

test('wrong answers: rows that are not the same on both sides are seen by the shadow in time', async () => {
  const load = stage.startLoad();
  await stage.half();
  await stage.services.query('UPDATE reviews.review SET body = REVERSE(body)');
  const ms = await stage.backAtLegacy();
  await load.end();
  await stage.services.query('UPDATE reviews.review SET body = REVERSE(body)');
  console.log(`wrong answers: back after ${Math.round(ms)} ms`);
  expect(ms).toBeLessThan(backWithinMs);
  expect(await stage.newest('return')).toMatchObject({
    reason: expect.stringMatching(/answered differently/),
  });
}, 120_000);

test('a ramp that is killed leaves the percentage, and the facades still protect', async () => {
  const load = stage.startLoad();
  const killed = await stage.rampAtHalf();
  // Two at once: one acts.
  const second = await stage.banyan(...ramp('50,100', '1s'));
  expect(second).toMatchObject({ code: 7, said: { ok: false, heldBy: expect.stringMatching(/ramp, /) } });
  killed.kill('SIGKILL');
  await killed.ended;
  expect(await stage.isEverywhere(50)).toBe(true);
  stage.service.becomes('error');
  expect(await stage.backAtLegacy()).toBeLessThan(backWithinMs);
  stage.service.becomes('well');
  const again = await stage.done(...ramp('50,100', '2s'), ...hurried);
  expect(again).toMatchObject({ ok: true, steps: [{ percent: 50 }, { percent: 100 }] });
  // What a ramp has moved is watched at 100 %, too.
  stage.service.becomes('gone');
  expect(await stage.backAtLegacy()).toBeLessThan(backWithinMs);
  await load.end();
}, 90_000);

test('a service that fails ends the ramp, with the reason; another operator’s word does, too', async () => {
  const load = stage.startLoad();
  const one = await stage.rampAtHalf();
  stage.service.becomes('error');
  const failed = await one.ended;
  expect(failed.code).toBe(4);
  expect(JSON.parse(failed.stdout)).toMatchObject({
    outcome: 'returned',
    percent: 0,
    reason: expect.stringMatching(/a facade took the reads back: .*(failed|differently)/),
  });
  stage.service.becomes('well');
  const other = await stage.rampAtHalf();
  await stage.done('shift', 'reviews', '--reads', '0');
  const superseded = await other.ended;
  expect(superseded.code).toBe(6);
  expect(JSON.parse(superseded.stdout)).toMatchObject({ outcome: 'superseded' });
  // "banyan shift" waits for one facade; the other one hears of it within its next look.
  await stage.backAtLegacy();
  await load.end();
}, 90_000);

test('cohorts: members by their session, and whoever sends the header, whatever the percentage', async () => {
  const [facade] = stage.facades;
  if (!facade) throw new Error('there are two');
  const [first, second] = [await logIn(facade.url, 'member1'), await logIn(facade.url, 'member2')];
  // Mirrored reads would be the service's, too.
  await stage.done('shift', 'reviews', '--shadow', '0');
  const isAtService = async (headers: Record<string, string>) => {
    const before = stage.service.asked();
    const response = await fetch(new URL('/api/review/list.do?prdNo=1', facade.url), { headers });
    expect(await response.json()).toMatchObject({ resultCode: '0000' });
    return stage.service.asked() > before;
  };
  expect(
    await stage.done('shift', 'reviews', '--reads', '0', '--cohort', 'member=member1;beta=1'),
  ).toMatchObject({
    phase: 'canary',
    cohorts: ['member=member1', 'beta=1'],
  });
  await until('the flag to be followed', () => isAtService({ 'x-beta': '1' }));
  const found = async () => ({
    nobody: await isAtService({}),
    first: await isAtService({ cookie: first }),
    second: await isAtService({ cookie: second }),
    asking: await isAtService({ cookie: second, 'x-beta': '1' }),
    otherwise: await isAtService({ 'x-beta': '2' }),
  });
  const named = { nobody: false, first: true, second: false, asking: true, otherwise: false };
  for (let round = 0; round < 3; round++) expect(await found()).toEqual(named);
  expect((await stage.done('status')).capabilities).toMatchObject([
    { cohorts: ['member=member1', 'beta=1'] },
    {},
  ]);
  await stage.done('shift', 'reviews', '--reads', '100');
  await until('everybody to be moved', () => isAtService({}));
  expect(await found()).toEqual({ nobody: true, first: true, second: true, asking: true, otherwise: true });
  await stage.done('shift', 'reviews', '--reads', '0');
  await until('nobody to be moved', async () => !(await isAtService({ 'x-beta': '1' })));
  expect(await isAtService({ cookie: first })).toBe(false);
  const unknown = await stage.stack.banyan('shift', 'reviews', '--reads', '0', '--cohort', 'colour=red');
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no property "colour" \(it has member, beta\)/),
  });
  await stage.done('shift', 'reviews', '--shadow', '100');
}, 120_000);

test('a step without traffic ends the ramp where it is, and says so', async () => {
  const { code, said } = await stage.banyan(...ramp('5,100', '1s'));
  expect({ code, ...said }).toMatchObject({
    code: 3,
    outcome: 'no-data',
    percent: 5,
    reason: expect.stringMatching(/^at 5 %: samples: the service was asked 0 times/),
  });
  expect(await stage.isEverywhere(5)).toBe(true);
  await stage.done('stop', 'reviews');
  const closed = await stage.banyan('ramp', 'reviews', '--steps', '5', '--execute');
  expect(closed).toMatchObject({
    code: 3,
    said: { executed: false, reason: expect.stringMatching(/--shadow 100/) },
  });
}, 120_000);
