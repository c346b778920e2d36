// The same cases against others that stand where the facade stands, by the same judge. About two minutes; its limit is 20.
import { expect, test } from 'vitest';
import { answerCases, requestCases } from './cases.ts';
import { type Judged, judgeAnswer, judgeRequest } from './judge.ts';
import { type ProxyStage, startFacade, startPeers } from './proxies.ts';
import { runAnswer, runRequest } from './run-case.ts';

type Score = { readonly name: string; readonly unsafe: Map<string, readonly string[]> };

/** A proxy that a case has ended is started anew: nobody else was served meanwhile. */
async function faultsOf(proxy: ProxyStage, run: () => Promise<Judged>): Promise<readonly string[]> {
  try {
    const { faults } = await run();
    return (await proxy.revive()) ? ['it has ended'] : faults;
  } catch (error) {
    if (await proxy.revive()) return ['it has ended'];
    throw error;
  }
}

/** A case is safe when it is before either kind of upstream. */
async function requestsOf(proxy: ProxyStage): Promise<Score> {
  const unsafe = new Map<string, readonly string[]>();
  for (const flavour of ['strict', 'lenient'] as const) {
    proxy.upstream.flavour = flavour;
    for (const given of requestCases) {
      const faults = await faultsOf(proxy, async () => judgeRequest(given, await runRequest(proxy, given)));
      if (faults.length > 0) unsafe.set(given.name, faults);
    }
  }
  return { name: proxy.name, unsafe };
}

async function answersOf(proxy: ProxyStage): Promise<Score> {
  const unsafe = new Map<string, readonly string[]>();
  for (const given of answerCases) {
    const faults = await faultsOf(proxy, async () => judgeAnswer(given, await runAnswer(proxy, given)));
    if (faults.length > 0) unsafe.set(given.name, faults);
  }
  return { name: proxy.name, unsafe };
}

test('no peer is safer', { timeout: 1_200_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const proxies = [await startFacade(), ...(await startPeers())];
  for (const proxy of proxies) stack.use(proxy);
  for (const [what, cases, score] of [
    ['request cases', requestCases, requestsOf],
    ['response cases', answerCases, answersOf],
  ] as const) {
    const scores = await Promise.all(proxies.map(score));
    const safe = scores.map(({ unsafe }) => cases.length - unsafe.size);
    const [ours = 0, ...theirs] = safe;
    console.log(
      `${what}: ours ${ours} of ${cases.length}${theirs.map((each, index) => `, ${proxies[index + 1]?.name} ${each}`).join('')}`,
    );
    expect([...(scores[0]?.unsafe ?? [])]).toEqual([]);
    expect(ours).toBeGreaterThan(Math.max(...theirs));
  }
});
