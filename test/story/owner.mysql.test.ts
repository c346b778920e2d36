// Reviews go to their service and back while shoppers write through two facades: as an operator does it, with all that goes
// wrong around it. (Kills at every step: owner-killed.full.mysql.test.ts.)
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asAccount } from '../as-account.ts';
import { suiteSeed } from '../sync/seed.ts';
import { until } from '../sync/until.ts';
import { type OwnerStack, startOwnerStack } from './owner-stack.ts';

const seed = suiteSeed('owner');
let owner: OwnerStack;
beforeAll(async () => {
  owner = await startOwnerStack(seed.below(1_000_000));
}, 120_000);
afterAll(() => owner?.[Symbol.asyncDispose]());

const json = async (...words: string[]) => {
  const { code, stdout } = await owner.stack.banyan(...words, '--json');
  return { code, said: JSON.parse(stdout) as Record<string, unknown> };
};
const ownerNow = async () => {
  const { said } = await json('status');
  const [reviews] = said.capabilities as { phase: string; owner: Record<string, { owner: string }> }[];
  return `${reviews?.phase}: ${reviews?.owner.legacy?.owner}, ${reviews?.owner.service?.owner}`;
};

test('a dry run shows every gate and changes nothing', async () => {
  const { code, said } = await json('cutover', 'reviews');
  expect(said).toMatchObject({ executed: false, ok: true });
  expect(code).toBe(0);
  expect(await ownerNow()).toBe('reads: legacy, legacy');
}, 120_000);

test('a closed gate closes the way, and the one who overrides it must say why', async () => {
  await owner.run('shift', 'reviews', '--reads', '50');
  const closed = await json('cutover', 'reviews', '--execute');
  expect(closed.code).toBe(3);
  const failed = (closed.said.gates as { gate: string; verdict: string; remedy: string }[]).filter(
    ({ verdict }) => verdict === 'fail',
  );
  expect(failed.map(({ gate }) => gate)).toEqual(['phase', 'reads']);
  for (const { remedy } of failed) expect(remedy).toMatch(/banyan (plan|shift) reviews/);
  const wordless = await owner.stack.banyan('cutover', 'reviews', '--execute', '--override', 'reads');
  expect(wordless).toMatchObject({ code: 2, stderr: expect.stringMatching(/--reason/) });
  const unknown = await owner.stack.banyan('cutover', 'reviews', '--override', 'nonsense', '--reason', 'x');
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringMatching(/there is no gate "nonsense"/) });
  expect(await ownerNow()).toBe('canary: legacy, legacy');
  await owner.run('shift', 'reviews', '--reads', '100');
}, 120_000);

/** As the application that owns writes: a counter that is wrong, for the nightly batch to mend. */
async function drift(side: 'legacy' | 'service'): Promise<void> {
  const { databases, folder } = owner.stack;
  const [account, url] =
    side === 'legacy' ? ['shop_app', databases.legacy] : ['reviews_app', databases.services];
  const sql = await createConnection(asAccount(folder, account, url));
  await sql.query(
    side === 'legacy'
      ? 'UPDATE TB_RVW_MST SET RCMD_CNT = RCMD_CNT + 1 ORDER BY RVW_SEQ LIMIT 1'
      : 'UPDATE review SET recommend_count = recommend_count + 1 ORDER BY id LIMIT 1',
  );
  sql.destroy();
}

test('a batch job that nobody declared turns the gate red, and is refused once the service owns', async () => {
  await drift('legacy');
  const batch = await owner.nightly();
  expect(batch).toMatchObject({ code: 0 });
  const { code, said } = await json('cutover', 'reviews');
  expect(code).toBe(3);
  expect(
    (said.gates as { gate: string; evidence: string }[]).find(({ gate }) => gate === 'writers')?.evidence,
  ).toMatch(/nobody declared shop_batch@/);
  await owner.run('writers', 'reviews', '--forget', 'shop_batch', '--reason', 'it runs no more');
  await owner.run('cutover', 'reviews', '--execute', '--wait', '20');
  await drift('service');
  await until('the batch finds something to mend', async () => (await owner.nightly()).code === 1);
  expect(await owner.nightly()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/reviews is owned by service/),
  });
  await owner.run('rollback', 'reviews', '--execute', '--wait', '20');
}, 90_000);

test('two operators at once: one acts, the other is told who', async () => {
  const both = await Promise.all([
    json('cutover', 'reviews', '--execute', '--actor', 'kim'),
    json('cutover', 'reviews', '--execute', '--actor', 'lee'),
  ]);
  const codes = both.map(({ code }) => code).sort();
  // The second finds the first at work, or finds that it has been done.
  expect([
    [0, 0],
    [0, 7],
  ]).toContainEqual(codes);
  const told = both.find(({ code }) => code === 7);
  if (told) expect(String(told.said.heldBy)).toMatch(/^(kim|lee) \(cutover, /);
  expect(await ownerNow()).toBe('owned: service, service');
  const { code, said } = await json('cutover', 'reviews', '--execute');
  expect({ code, outcome: said.outcome }).toEqual({ code: 0, outcome: 'done' });
}, 120_000);

test('killed after the close, it is finished by the same command; killed before, it is undone by itself', async () => {
  // After it the rollback is there, before it nothing has changed. (How soon writes flow again: owner-killed.)
  for (const words of ['banyan_fence SET owner', 'SET turn_id = ']) {
    // A rollback closes the services' server.
    await owner.killedAt({ move: 'rollback', on: 'services', words, lose: 'answer' });
    await owner.writeOnce();
    await owner.run('rollback', 'reviews', '--execute', '--wait', '20');
    expect(await ownerNow()).toBe('reads: legacy, legacy');
    await owner.run('cutover', 'reviews', '--execute', '--wait', '20');
  }
}, 90_000);

test('legacy still reads and writes the tables: it cannot be retired', async () => {
  const { code, said } = await json('retire', 'reviews', '--execute');
  expect(code).toBe(3);
  expect(
    (said.gates as { gate: string; verdict: string }[]).filter(({ verdict }) => verdict === 'fail'),
  ).toMatchObject([{ gate: 'entangled' }]);
}, 120_000);

test('nobody has noticed any of it', () => owner.expectUnnoticed(), 120_000);
