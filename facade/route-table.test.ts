import { expect, test } from 'vitest';
import type { Route } from '../capability/capability.ts';
import { createRouteTable } from './route-table.ts';
import { capability } from './test-servers.ts';

const read = (path: string): Route => ({ method: 'GET', path, kind: 'read', safe: true });
const table = createRouteTable([
  capability([
    read('/api/review/list.do'),
    read('/p/:id'),
    read('/p/new'),
    read('/p/:id/reviews'),
    read('/files/*'),
    read('/files/a/*'),
    read('/:any/deep/:id'),
    read('/files/deep/last'),
    read('/files/:name/last'),
  ]),
  capability([{ method: 'POST', path: '/p/:id', kind: 'write' }], 'orders'),
]);

test.each([
  ['GET', '/api/review/list.do', '/api/review/list.do'],
  ['HEAD', '/api/review/list.do', '/api/review/list.do'],
  ['POST', '/api/review/list.do', undefined],
  ['GET', '/api/review/list.do/', undefined],
  ['GET', '/api/review/LIST.do', undefined],
  ['GET', '/p/7', '/p/:id'],
  ['GET', '/p/new', '/p/new'],
  ['GET', '/p/', undefined],
  ['GET', '/p/7/reviews', '/p/:id/reviews'],
  ['GET', '/p/7/other', undefined],
  ['GET', '/files/x/y', '/files/*'],
  ['GET', '/files/a/y', '/files/a/*'],
  ['GET', '/files/', '/files/*'],
  ['GET', '/files', undefined],
  // A first segment that routes name does not hide those that take any.
  ['GET', '/files/deep/x', '/:any/deep/:id'],
  ['GET', '/other/deep/x', '/:any/deep/:id'],
  ['GET', '/files/deep/last', '/files/deep/last'],
  ['GET', '/files/x/last', '/files/:name/last'],
  ['GET', '/other/x/last', undefined],
  ['OPTIONS', '/p/7', undefined],
])('%s %s is %s', (method, path, route) => {
  expect(table.match(method, path)?.route.path).toBe(route);
});

test('methods of one path may belong to several capabilities', () => {
  expect(table.match('GET', '/p/7')?.capability?.name).toBe('reviews');
  expect(table.match('POST', '/p/7')?.capability?.name).toBe('orders');
});
