import { expect, test } from 'vitest';
import { traceIn } from './statement-trace.ts';

const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
const traceparent = `00-${traceId}-${spanId}-01`;
const found = { traceId, spanId, isSampled: true };
const of = (statement: string) => traceIn(Buffer.from(statement));

test.each([
  `INSERT INTO t VALUES (1) /*traceparent='${traceparent}'*/`,
  `INSERT INTO t VALUES (1)/*traceparent='${traceparent}'*/ \n`,
  `UPDATE t SET a = 1 /*action='write',traceparent='${traceparent}',tracestate='congo%3Dt61'*/`,
  `UPDATE t SET a = '${'리뷰'.repeat(100_000)}' /*traceparent='${traceparent}'*/`,
])('the comment at the end of a statement is read', (statement) => {
  expect(of(statement)).toEqual(found);
});

test.each([
  ['what a client wrote into a text', `INSERT INTO t VALUES ('/*traceparent=\\'${traceparent}\\'*/')`],
  ['the same with the right quotes', `INSERT INTO t VALUES ("/*traceparent='${traceparent}'*/")`],
  ['a text that ends a statement without brackets', `UPDATE t SET a = "/*traceparent='${traceparent}'*/"`],
  ['a comment in front', `/*traceparent='${traceparent}'*/ INSERT INTO t VALUES (1)`],
  ['another comment after it', `INSERT INTO t VALUES (1) /*traceparent='${traceparent}'*/ /* x */`],
  ['a malformed one', `INSERT INTO t VALUES (1) /*traceparent='00-0-0-01'*/`],
  ['more than the field in its value', `INSERT INTO t VALUES (1) /*traceparent='${traceparent}x'*/`],
  ['a name that ends alike', `INSERT INTO t VALUES (1) /*my_traceparent='${traceparent}'*/`],
  [
    'a comment that is too long',
    `INSERT INTO t VALUES (1) /*${'x'.repeat(2_000)},traceparent='${traceparent}'*/ ${' '.repeat(2_000)}`,
  ],
  ['nothing', ''],
])('%s is not believed', (_what, statement) => {
  expect(of(statement)).toBeUndefined();
});
