import { renamed } from '../../../acl/codecs.ts';
import { identity } from '../../../acl/identity.ts';
import { rowTranslator } from '../../../acl/translator.ts';
import { defineConfig } from '../../../capability/load-config.ts';

const number = renamed({ kind: 'integer', min: 0, max: 2 ** 32 - 1 });
const text = renamed({ kind: 'any' });

export default defineConfig({
  upstreams: { legacy: 'http://127.0.0.1:1', things: 'http://127.0.0.1:1' },
  legacy: { database: 'shop', manner: { contentType: 'application/json', headers: {}, etag: 'none' } },
  capabilities: [
    {
      name: 'things',
      team: 'test',
      service: { upstream: 'things', database: 'things' },
      tables: [
        rowTranslator({
          capability: 'things',
          source: { table: 'item', key: ['id'], preserved: [] },
          targets: [
            {
              table: 'article',
              key: ['id'],
              root: true,
              columns: {
                id: { from: 'id', codec: number },
                code: { from: 'code', codec: text },
                title: { from: 'title', codec: text },
                body: { from: 'body', codec: text },
              },
            },
          ],
        }),
        identity('thing'),
      ],
      references: [
        rowTranslator({
          capability: 'things',
          source: { table: 'member', key: ['id'], preserved: ['password'] },
          targets: [
            {
              table: 'owner',
              key: ['id'],
              root: true,
              columns: { id: { from: 'id', codec: text }, name: { from: 'name', codec: text } },
            },
          ],
        }),
      ],
      routes: [{ method: 'GET', path: '/things', kind: 'read', safe: true }],
    },
  ],
});
