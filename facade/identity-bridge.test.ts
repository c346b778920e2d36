// Who a request's user is: asked of a real HTTP server, signed with a real key.
import type { RequestListener } from 'node:http';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import type { IdentityBridge } from '../capability/capability.ts';
import { askAside } from './ask-aside.ts';
import { createIdentities, readSigningKey } from './identity-bridge.ts';
import { parseFacadeOptions } from './options.ts';
import { oneUpstream, upstream } from './test-servers.ts';

const limits = parseFacadeOptions([], {});

const declaration: IdentityBridge = {
  cookie: 'SID',
  path: '/me',
  userOf: ({ status, body }) =>
    status === 200 && typeof body === 'object' && body !== null && 'user' in body && body.user !== null
      ? String(body.user)
      : undefined,
  dropAt: [{ method: 'POST', path: '/logout' }],
};

async function keys() {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const named = { kid: 'k1', alg: 'ES256' };
  return {
    text: JSON.stringify({ ...(await exportJWK(pair.privateKey)), ...named }),
    jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), ...named }] },
  };
}

async function bridge(handler: RequestListener) {
  const legacy = await upstream(handler);
  const one = oneUpstream(legacy.url);
  const { text, jwks } = await keys();
  let clock = 0;
  const key = await readSigningKey(text);
  const identities = createIdentities({
    declaration,
    askLegacy: askAside(one),
    key,
    limits,
    now: () => clock,
  });
  return {
    identities,
    jwks,
    pass: (ms: number) => {
      clock += ms;
    },
    async [Symbol.asyncDispose]() {
      await one.stop();
      await legacy[Symbol.asyncDispose]();
    },
  };
}

test('legacy is asked with the session alone, once for requests that come together, and again after some seconds', async () => {
  const asked: unknown[] = [];
  await using it = await bridge((request, response) => {
    asked.push([request.url, request.headers.cookie]);
    response.end('{"user":"kim"}');
  });
  const cookies = 'a=1; SID=s1 ;banyan_id=x; XSID=2';
  const users = await Promise.all([it.identities.userOf(cookies), it.identities.userOf('SID=s1')]);
  expect(users).toEqual(['kim', 'kim']);
  expect(await it.identities.userOf(cookies)).toBe('kim');
  expect(asked).toEqual([['/me', 'SID=s1']]);
  it.pass(5_000);
  await it.identities.userOf(cookies);
  expect(asked).toHaveLength(2);
  expect(await it.identities.userOf(undefined)).toBeUndefined();
  expect(await it.identities.userOf('other=1')).toBeUndefined();
  expect(asked).toHaveLength(2);
});

test('that nobody is logged in is kept for a shorter time', async () => {
  let asked = 0;
  await using it = await bridge((_request, response) => {
    asked++;
    response.end('{"user":null}');
  });
  expect(await it.identities.userOf('SID=s1')).toBeUndefined();
  it.pass(900);
  await it.identities.userOf('SID=s1');
  expect(asked).toBe(1);
  it.pass(100);
  await it.identities.userOf('SID=s1');
  expect(asked).toBe(2);
});

test('at log-out what is known is dropped, and an answer that was on its way does not come back in', async () => {
  const waiting: (() => void)[] = [];
  let user = 'kim';
  await using it = await bridge((_request, response) => {
    const said = user;
    waiting.push(() => response.end(JSON.stringify({ user: said })));
  });
  const before = it.identities.userOf('SID=s1');
  await expect.poll(() => waiting.length).toBe(1);
  user = 'lee';
  it.identities.passed('GET', '/logout', 'SID=s1');
  it.identities.passed('POST', '/logout', 'SID=s2');
  expect(it.identities.userOf('SID=s1')).toBe(before);
  it.identities.passed('POST', '/logout', 'b=2; SID=s1');
  const after = it.identities.userOf('SID=s1');
  await expect.poll(() => waiting.length).toBe(2);
  for (const answer of waiting) answer();
  expect(await before).toBe('kim');
  expect(await after).toBe('lee');
  expect(await it.identities.userOf('SID=s1')).toBe('lee');
});

test('a legacy that fails is an error, never "nobody", and is asked again', async () => {
  let fails = true;
  await using it = await bridge((request, response) => {
    if (request.headers.cookie === 'SID=cut') return void request.socket.destroy();
    if (fails) response.statusCode = 500;
    response.end(
      `{"user":"kim","filler":"${'x'.repeat(request.headers.cookie === 'SID=big' ? 2 ** 20 : 0)}"}`,
    );
  });
  await expect(it.identities.userOf('SID=s1')).rejects.toMatchObject({ code: 'upstream_failed' });
  fails = false;
  expect(await it.identities.userOf('SID=s1')).toBe('kim');
  await expect(it.identities.userOf('SID=cut')).rejects.toMatchObject({ code: 'upstream_failed' });
  await expect(it.identities.userOf('SID=big')).rejects.toMatchObject({ code: 'upstream_failed' });
});

test('a service can verify who it is; one signature serves for half a minute', async () => {
  await using it = await bridge(() => {});
  const { identities, jwks, pass } = it;
  expect(await identities.headersFor(undefined, 'reviews')).toEqual({});
  const headers = await identities.headersFor('김', 'reviews');
  const { payload, protectedHeader } = await jwtVerify(
    headers['banyan-identity'] ?? '',
    createLocalJWKSet(jwks),
    {
      issuer: 'banyan',
      audience: 'reviews',
    },
  );
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'k1' });
  expect(payload.sub).toBe('김');
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
  pass(29_999);
  expect(await identities.headersFor('김', 'reviews')).toEqual(headers);
  pass(1);
  expect(await identities.headersFor('김', 'reviews')).not.toEqual(headers);
  const other = await identities.headersFor('김', 'wishlist');
  await expect(
    jwtVerify(other['banyan-identity'] ?? '', createLocalJWKSet(jwks), { audience: 'reviews' }),
  ).rejects.toThrow(/"aud"/);
});

test('a signing key that is none is refused with what is wrong, and never repeated', async () => {
  const { text, jwks } = await keys();
  const { d: _d, ...rest } = JSON.parse(text);
  const wrong: [string, RegExp][] = [
    ['secret', /is not JSON/],
    ['[]', /P-256/],
    [JSON.stringify({ ...rest, crv: 'P-384' }), /P-256/],
    [JSON.stringify(jwks.keys[0]), /public key/],
    [JSON.stringify({ ...JSON.parse(text), kid: undefined }), /kid/],
    [JSON.stringify({ ...JSON.parse(text), x: 'AAAA' }), /no point/],
  ];
  for (const [given, why] of wrong) {
    const error: unknown = await readSigningKey(given).catch((thrown: unknown) => thrown);
    expect(error, given).toMatchObject({ name: 'StartError', message: expect.stringMatching(why) });
    expect(String(error)).not.toContain('secret');
  }
});
