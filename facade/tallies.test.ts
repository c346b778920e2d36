// What the service is compared with legacy by: each read that the flag decides, for the side that was asked first.
import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { HttpReadTranslator } from '../acl/http.ts';
import type { ReadRoute } from '../capability/capability.ts';
import { Tallies } from './tallies.ts';
import { startFacade, until, upstream } from './test-servers.ts';

const codeOf = (body: unknown) =>
  typeof body === 'object' && body !== null && 'resultCode' in body ? body.resultCode : undefined;

const translate: HttpReadTranslator = {
  request: () => ({ ask: { path: '/reviews' } }),
  response: ({ body }) => ({ status: 200, body: { resultCode: codeOf(body) ?? '9999' } }),
};
const list: ReadRoute = {
  method: 'GET',
  path: '/list.do',
  kind: 'read',
  safe: true,
  translate,
  isError: ({ body }) => codeOf(body) === '9999',
};

const says =
  (status: number, resultCode: string): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(`{"resultCode":"${resultCode}"}`);

type Answers = { legacy: RequestListener; service: RequestListener };

async function start(answers: Answers, limits: Parameters<typeof startFacade>[0]['limits'] = {}) {
  const stack = new AsyncDisposableStack();
  const legacy = stack.use(await upstream((...of) => answers.legacy(...of)));
  const service = stack.use(await upstream((...of) => answers.service(...of)));
  const tallies = new Tallies([{ name: 'reviews' }]);
  let isMoved = false;
  const facade = stack.use(
    await startFacade({
      legacy: legacy.url,
      service: service.url,
      routes: [list],
      tallies,
      limits,
      flags: { isOn: () => isMoved },
    }),
  );
  const tally = () => tallies.of('reviews')?.read();
  return {
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
    async read(toService: boolean): Promise<unknown> {
      isMoved = toService;
      return (await fetch(`${facade.url}/list.do`)).json();
    },
    /** Reads and errors of both sides, legacy's first. */
    async counts(reads: readonly [number, number]) {
      await until(
        () => tally()?.legacy.reads === reads[0] && tally()?.service.reads === reads[1],
        'the reads',
      );
      return [tally()?.legacy.errors, tally()?.service.errors];
    },
  };
}

test('an answer that calls itself an error counts for who gave it; a safe read is then legacy’s to answer', async () => {
  const answers: Answers = { legacy: says(200, '0000'), service: says(200, '0000') };
  await using it = await start(answers);
  expect(await it.read(false)).toEqual({ resultCode: '0000' });
  expect(await it.read(true)).toEqual({ resultCode: '0000' });
  expect(await it.counts([1, 1])).toEqual([0, 0]);
  answers.service = says(200, '9999');
  // What legacy answers instead is no sample of it.
  expect(await it.read(true)).toEqual({ resultCode: '0000' });
  expect(await it.counts([1, 2])).toEqual([0, 1]);
  answers.legacy = says(200, '9999');
  expect(await it.read(false)).toEqual({ resultCode: '9999' });
  expect(await it.counts([2, 2])).toEqual([1, 1]);
  answers.legacy = (_request, response) =>
    void response
      .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      .end(gzipSync('{"resultCode":"9999"}'));
  expect(await it.read(false)).toEqual({ resultCode: '9999' });
  expect(await it.counts([3, 2])).toEqual([2, 1]);
});

test('a 5xx, and no answer at all, are errors of either side', async () => {
  const answers: Answers = { legacy: says(500, 'x'), service: says(500, 'x') };
  await using it = await start(answers);
  await it.read(false);
  await it.read(true);
  expect(await it.counts([1, 1])).toEqual([1, 1]);
  answers.legacy = (request) => void request.socket.destroy();
  answers.service = (request) => void request.socket.destroy();
  await it.read(false);
  await it.read(true);
  expect(await it.counts([2, 2])).toEqual([2, 2]);
});

test('a service that an open breaker turned away was not asked', async () => {
  await using it = await start(
    { legacy: says(200, '0000'), service: says(500, 'x') },
    { breakerFailuresMax: 2, breakerOpenMs: 60_000, breakerOpenMsMax: 60_000 },
  );
  for (let read = 0; read < 6; read++) expect(await it.read(true)).toEqual({ resultCode: '0000' });
  expect(await it.counts([0, 2])).toEqual([0, 2]);
});
