// One read that moves, and answers that say who gave them: for the suites of flags.
import { identity } from '../../acl/identity.ts';
import { defineConfig } from '../../capability/load-config.ts';
import { manner } from '../../facade/test-servers.ts';

export default defineConfig({
  upstreams: { legacy: 'http://127.0.0.1:1', reviews: 'http://127.0.0.1:1' },
  legacy: { database: 'shop', manner },
  flags: { unleash: { project: 'default', environment: 'development' } },
  capabilities: [
    {
      name: 'reviews',
      team: 'test',
      service: { upstream: 'reviews', database: 'reviews' },
      tables: [identity('TB_RVW')],
      references: [],
      context: { tenant: { header: 'x-tenant' } },
      routes: [
        {
          method: 'GET',
          path: '/api/review/list.do',
          kind: 'read',
          safe: true,
          translate: {
            request: () => ({ ask: { path: '/reviews' } }),
            response: () => ({ status: 200, body: { by: 'service' } }),
          },
        },
      ],
    },
  ],
});
