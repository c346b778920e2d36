// The judge finds out a proxy that passes on what it should not.
import { expect, test } from 'vitest';
import { requestCases } from './cases.ts';
import { encodings } from './disguises.ts';
import { judgeAnswer, judgeRequest } from './judge.ts';
import { readRequestsLeniently } from './read-leniently.ts';
import { readAnswers, readRequests } from './read-strictly.ts';

/** As if every byte had been passed on. */
const passedOn = (bytes: string) =>
  ({
    heard: 'HTTP/1.1 200 OK\r\nX-Echo: 1 POST /t\r\nContent-Length: 0\r\n\r\n',
    isClosed: true,
    slices: [{ connection: 0, bytes, isClosed: false, answered: [1] }],
    after: 'closed',
    second: 'its own',
  }) as const;

test('a proxy that passes on two lengths, in any disguise, is found out', () => {
  const cases = requestCases.filter(({ name }) => name.startsWith('Content-Length after Transfer-Encoding'));
  const missed = cases.filter(
    (given) => judgeRequest(given, passedOn(given.send.join(''))).faults.length === 0,
  );
  expect(cases.length).toBe(encodings.length);
  // That is another header to everybody.
  expect(missed.map(({ name }) => name.replace(/.*: /, ''))).toEqual(['without a dash']);
});

test('the strict reader reads what the RFC has, cut anywhere', () => {
  const bytes =
    'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiPUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nho\r\n0\r\nT: 1\r\n\r\n';
  const { requests, rest, fault } = readRequests(bytes);
  expect([requests.map(({ target, body }) => [target, body]), rest, fault]).toEqual([
    [
      ['/a', 'hi'],
      ['/b', 'ho'],
    ],
    '',
    undefined,
  ]);
  for (let at = 0; at < bytes.length; at += 1) expect(readRequests(bytes.slice(0, at)).fault).toBeUndefined();
});

test('the lenient reader takes anything for a length', () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
  const found = encodings
    .filter(({ line, isOther }) => /chunked/i.test(line) && !isOther)
    .filter(({ line }) => {
      const bytes = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${5 + smuggled.length}\r\n${line}\r\n\r\n0\r\n\r\n${smuggled}`;
      return readRequestsLeniently(bytes).requests.some(({ target }) => target === '/smuggled');
    });
  expect(found.length).toBeGreaterThan(35);
});

test('an answer to a request that was never made, and two answers for one, are found out', () => {
  const given = {
    name: '',
    asked: { method: 'GET', version: '1.1' },
    say: '',
    ending: 'keep',
    bodies: ['hello'],
    ours: '200',
  } as const;
  const one = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  const seen = { slices: [], isClosed: true, after: 'closed', second: 'its own' } as const;
  expect(judgeAnswer(given, { ...seen, heard: one })).toEqual({ faults: [], ours: [] });
  expect(judgeAnswer(given, { ...seen, heard: one + one }).faults).toEqual(['2 answers to one request']);
  expect(judgeAnswer(given, { ...seen, heard: one, second: 'wrong' }).faults.length).toBe(1);
  expect(readAnswers(one.slice(0, -1), [], true).answers[0]?.isWhole).toBe(false);
});
