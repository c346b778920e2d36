// Every log line is public: whatever an error brings along, no value of a client's or a row's is in the line.
import { expect, test } from 'vitest';
import { createLog } from './log.ts';

function logged(write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  const to = {
    write: (line: string) => {
      text += line;
    },
  };
  write(createLog('trace', to));
  return text;
}

const person = 'kim@example.com';
const fromServer = (code: string, errno: number, message: string) =>
  Object.assign(new Error(message), {
    code,
    errno,
    sqlState: '23000',
    sqlMessage: message,
    sql: `INSERT INTO member VALUES ('${person}')`,
    parameters: [person],
  });

test.each([
  ['a duplicate key', fromServer('ER_DUP_ENTRY', 1062, `Duplicate entry '${person}' for key 'uq_email'`)],
  [
    'a duplicate key whose value looks like the message’s end',
    fromServer('ER_DUP_ENTRY', 1062, `Duplicate entry 'a' for key '${person}' for key 'uq_email'`),
  ],
  [
    'a value that does not fit',
    fromServer(
      'ER_TRUNCATED_WRONG_VALUE',
      1292,
      `Incorrect datetime value: '${person}' for column 'x' at row 1`,
    ),
  ],
  [
    'a statement that is none',
    fromServer('ER_PARSE_ERROR', 1064, `syntax to use near '${person}'' at line 1`),
  ],
  [
    'a body that is no JSON',
    (() => {
      try {
        return JSON.parse(`{"a":${person}`);
      } catch (error) {
        return error;
      }
    })(),
  ],
  [
    'a wrapped one',
    new Error('the service failed', {
      cause: fromServer('ER_DUP_ENTRY', 1062, `Duplicate entry '${person}' for key 'k'`),
    }),
  ],
  [
    'bytes of a request',
    Object.assign(new Error('Parse Error'), { rawPacket: Buffer.from(person), bytes: person }),
  ],
])('%s', (_what, error) => {
  const text = logged((log) => {
    log.error({ err: error }, 'it failed');
    log.error(error);
    log.error({ err: error });
  });
  expect(text).not.toContain(person);
  expect(text.trim().split('\n')).toHaveLength(3);
  expect(JSON.parse(text.split('\n')[0] ?? '').err.stack).toMatch(/^at /);
});

test('names of the schema stay: somebody has to mend it', () => {
  const error = fromServer('ER_DUP_ENTRY', 1062, `Duplicate entry '${person}' for key 'uq_email'`);
  expect(logged((log) => log.error({ err: error }, 'x'))).toContain("Duplicate entry … for key 'uq_email'");
  const bad = fromServer(
    'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
    1366,
    `Incorrect string value: '${person}' for column \`${person}\` at row 1' for column \`shop\`.\`t\`.\`c\` at row 7`,
  );
  const line = logged((log) => log.error({ err: bad }, 'x'));
  expect(line).toContain('Incorrect string value for column `shop`.`t`.`c` at row 7');
  expect(line).not.toContain(person);
  const tooLong = fromServer('ER_DATA_TOO_LONG', 1406, "Data too long for column 'body' at row 1");
  expect(logged((log) => log.error({ err: tooLong }, 'x'))).toContain('Data too long for column');
});

test('credentials and headers are not there, however they came into a line', () => {
  const text = logged((log) => {
    log.info(
      { place: `mysql://root:s3cret@db:3306/x`, why: new URL('http://u:s3cret@h/').href },
      'connected',
    );
    log.info(
      {
        headers: { authorization: 's3cret', cookie: 's3cret' },
        request: { headers: { cookie: 's3cret' }, body: 's3cret' },
        answer: { 'set-cookie': 's3cret', 'banyan-identity': 's3cret', authorization: 's3cret' },
        password: 's3cret',
        err: new Error('connect mysql://root:s3cret@db failed'),
      },
      'x',
    );
  });
  expect(text).not.toContain('s3cret');
  expect(text).toContain('mysql://…@db:3306/x');
});
