// What becomes of a write that a service executes, whatever the service does.
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import type { HttpWriteTranslator, LegacyWrite, ServiceResponse } from '../acl/http.ts';
import { askAside } from './ask-aside.ts';
import { createConsult } from './consult.ts';
import type { Limits } from './limits.ts';
import { parseFacadeOptions } from './options.ts';
import { oneUpstream, upstream } from './test-servers.ts';
import { type TranslateWriteDeps, translateWrite } from './translate-write.ts';

const limits: Limits = { ...parseFacadeOptions([], {}), serviceMsMax: 10_000 };

const legacy: LegacyWrite = {
  method: 'POST',
  path: '/write.do',
  query: new URLSearchParams(),
  contentType: 'application/x-www-form-urlencoded',
  body: Buffer.from('no=7'),
  user: 'kim',
};

const formOf = (write: LegacyWrite) => new URLSearchParams(Buffer.from(write.body).toString());

const translator: HttpWriteTranslator = {
  consult: (write) => [
    { method: 'GET', path: `/order?no=${formOf(write).get('no')}` },
    { method: 'HEAD', path: '/photo' },
  ],
  request: (write, consulted) =>
    formOf(write).has('wrong')
      ? { answer: { status: 200, body: { code: '1001' } } }
      : {
          ask: {
            method: 'POST',
            path: '/things',
            body: { no: formOf(write).get('no'), user: write.user, consulted },
          },
        },
  response: ({ status, body }) => ({ status: 200, body: { status, body } }),
};

async function run(handler: RequestListener, given: Partial<TranslateWriteDeps> = {}, body = legacy.body) {
  await using service = await upstream(handler);
  const one = oneUpstream(service.url);
  const deps: TranslateWriteDeps = {
    upstream: one,
    consult: async (path, method) => ({ status: 200, body: `${method} ${path}` }),
    headers: { 'banyan-identity': 'signed' },
    limits,
    isRefusal: ({ status, body }) =>
      status === 503 && typeof body === 'object' && body !== null && 'type' in body && body.type === 'fenced',
    isError: undefined,
    ...given,
  };
  try {
    return await translateWrite(translator, { ...legacy, body }, deps);
  } finally {
    await one.stop();
  }
}

test('the service gets JSON, the identity, and what legacy said when it was asked', async () => {
  let heard = {};
  const result = await run(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { 'content-type': type, 'banyan-identity': identity } = request.headers;
    heard = { method: request.method, url: request.url, type, identity, body: JSON.parse(text) };
    response.writeHead(201).end('{"id":1}');
  });
  const consulted: ServiceResponse[] = [
    { status: 200, body: 'GET /order?no=7' },
    { status: 200, body: 'HEAD /photo' },
  ];
  expect(heard).toEqual({
    method: 'POST',
    url: '/things',
    type: 'application/json',
    identity: 'signed',
    body: { no: '7', user: 'kim', consulted },
  });
  expect(result).toEqual({
    is: 'answer',
    answer: { status: 200, body: { status: 201, body: { id: 1 } } },
    wrote: true,
  });
});

test('what is answered without the service, or refused by it, has written nothing', async () => {
  let asked = 0;
  const wrong = Buffer.from('wrong=');
  const atOnce = await run(() => asked++, {}, wrong);
  expect([atOnce, asked]).toEqual([
    { is: 'answer', answer: { status: 200, body: { code: '1001' } }, wrote: false },
    0,
  ]);
  const conflict = await run((_request, response) => response.writeHead(409).end('{}'));
  expect(conflict).toMatchObject({ is: 'answer', wrote: false });
  const fenced = await run((_request, response) => response.writeHead(503).end('{"type":"fenced"}'));
  expect(fenced).toEqual({ is: 'refused' });
});

test("a failure of the service is said in legacy's words, and may have written", async () => {
  const failed = await run((_request, response) => response.writeHead(500).end('<h1>no</h1>'));
  expect(failed).toEqual({
    is: 'answer',
    answer: { status: 200, body: { status: 500, body: '<h1>no</h1>' } },
    wrote: true,
  });
});

test('when legacy cannot be asked, the service is not', async () => {
  let asked = 0;
  const consult = () => Promise.reject(new Error('legacy is away'));
  await expect(run(() => asked++, { consult })).rejects.toThrow('legacy is away');
  expect(asked).toBe(0);
});

test('an answer is waited for as long as its patience says, of the service as of legacy', async () => {
  const soon = { ...limits, serviceMsMax: 50 };
  let more = 2;
  const moreMs = () => (more-- > 0 ? 50 : 0);
  await expect(run(() => {}, { limits: soon, moreMs })).rejects.toMatchObject({
    reason: 'timeout',
    cause: { message: 'no answer within 150 ms' },
  });
  let asked = 0;
  await using shop = await upstream(() => asked++);
  const one = oneUpstream(shop.url);
  const consult = createConsult(askAside(one), soon);
  const origin = { forwardedFor: '203.0.113.7', proto: 'http', host: '' } as const;
  more = 2;
  await expect(
    consult({ request: { headers: {} }, origin }, 'GET', '/order', undefined, moreMs),
  ).rejects.toMatchObject({
    code: 'upstream_timeout',
    cause: { message: 'no answer within 150 ms' },
  });
  expect(asked).toBe(1);
  await one.stop();
});

test.each<[string, string, RequestListener]>([
  ['a gateway', 'status', (_request, response) => response.writeHead(502).end('<h1>no</h1>')],
  ['another 503', 'status', (_request, response) => response.writeHead(503).end('{"type":"away"}')],
  ['no JSON', 'not_json', (_request, response) => response.end('<h1>yes</h1>')],
  ['too much', 'too_large', (_request, response) => response.end(`"${'x'.repeat(2 ** 20)}"`)],
  ['silence', 'timeout', () => {}],
  ['a lost connection', 'lost', (request) => request.socket.destroy()],
])('of %s the service is asked once, and the fault says %s', async (_name, reason, handler) => {
  let asked = 0;
  const counted: RequestListener = (request, response) => {
    asked++;
    handler(request, response);
  };
  const soon = { ...limits, serviceMsMax: reason === 'timeout' ? 300 : limits.serviceMsMax };
  await expect(run(counted, { limits: soon })).rejects.toMatchObject({ name: 'ServiceFault', reason });
  expect(asked).toBe(1);
});

test('a service that is not there has executed nothing', async () => {
  const gone = await upstream(() => {});
  gone.server.close();
  await once(gone.server, 'close');
  await expect(run(() => {}, { upstream: oneUpstream(gone.url) })).rejects.toMatchObject({
    reason: 'unreachable',
  });
});
