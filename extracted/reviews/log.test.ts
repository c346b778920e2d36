// Every log line is public: a value that a row or a request brought into an error is not in it.
import fastify from 'fastify';
import { expect, test } from 'vitest';
import { logOptions } from './log.ts';

const person = 'kim@example.com';

async function linesOf(error: Error): Promise<string> {
  let text = '';
  const options = logOptions('trace');
  const stream = {
    write(line: string) {
      text += line;
    },
  };
  const app = fastify({ ...options, logger: { ...options.logger, stream } });
  app.get('/:id', async (request) => {
    request.log.error({ err: error }, 'a request failed');
    return {};
  });
  await app.inject({
    url: `/${person}?q=${person}`,
    headers: {
      cookie: person,
      authorization: person,
      'x-request-id': `"${person}"`,
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`,
    },
  });
  await app.close();
  return text;
}

test.each([
  `Duplicate entry '${person}' for key 'uq_email'`,
  `Duplicate entry 'x' for key '${person}' for key 'uq_email'`,
  `Incorrect string value: '${person}' for column 'body' at row 1`,
])('a database’s error without its values: %s', async (sqlMessage) => {
  const error = Object.assign(new Error(`INSERT INTO x VALUES ('${person}') - ${sqlMessage}`), {
    errno: 1062,
    sqlState: '23000',
    sqlMessage,
    query: `INSERT INTO x VALUES ('${person}')`,
    parameters: [person],
  });
  const text = await linesOf(new Error('it failed', { cause: error }));
  expect(text).not.toContain(person);
  expect(text).toContain('23000');
  expect(text).toContain('a'.repeat(32));
});

test('no bytes of a request, and no body that was no JSON', async () => {
  const error = new SyntaxError(`Unexpected token 'k', "${person}" is not valid JSON`);
  expect(await linesOf(Object.assign(error, { rawPacket: Buffer.from(person) }))).not.toContain(person);
});
