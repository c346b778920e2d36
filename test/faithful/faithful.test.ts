// The facade as production starts it, between clients and upstreams that say anything at all: each case has a defined answer, nothing
// unintended arrives, and nobody gets what is another's. docs/faithful.md says what is refused, mended and passed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerCases, requestCases } from './cases.ts';
import { judgeAnswer, judgeRequest } from './judge.ts';
import { type ProxyStage, startFacade } from './proxies.ts';
import { runAnswer, runRequest } from './run-case.ts';

let facade: ProxyStage;
beforeAll(async () => {
  facade = await startFacade();
});
afterAll(() => facade[Symbol.asyncDispose]());

describe.each(['strict', 'lenient'] as const)('before a %s upstream', (flavour) => {
  beforeAll(() => {
    facade.upstream.flavour = flavour;
  });
  for (const given of requestCases)
    test(given.name, async () => {
      const { faults, ours } = judgeRequest(given, await runRequest(facade, given));
      expect([...faults, ...ours]).toEqual([]);
    });
});

describe('what upstreams say', () => {
  for (const given of answerCases)
    test(given.name, async () => {
      const { faults, ours } = judgeAnswer(given, await runAnswer(facade, given));
      expect([...faults, ...ours]).toEqual([]);
    });
});
