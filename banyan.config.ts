// The sample's wiring: AnyCompany's shop, with reviews on their way out of the monolith.
import { identity } from './acl/identity.ts';
import * as http from './acl/reviews/http.ts';
import * as rows from './acl/reviews/rows.ts';
import type { IsError } from './capability/capability.ts';
import { defineConfig } from './capability/load-config.ts';

/** Legacy says its errors in HTTP 200. */
const isError: IsError = ({ status, body }) =>
  status >= 500 ||
  (typeof body === 'object' && body !== null && 'resultCode' in body && body.resultCode === '9999');

export default defineConfig({
  upstreams: {
    legacy: 'http://127.0.0.1:8082',
    reviews: 'http://127.0.0.1:8083',
    wishlist: 'http://127.0.0.1:8084',
  },
  legacy: {
    database: 'shop',
    manner: {
      contentType: 'application/json;charset=UTF-8',
      headers: { 'cache-control': 'no-cache' },
      etag: 'weak-sha1-base64',
      gzipBytesMin: 1024,
    },
    routes: [
      { method: 'GET', path: '/products/:prdNo', kind: 'read', safe: true, alsoReads: ['reviews'] },
      { method: 'GET', path: '/api/product/view.do', kind: 'read', safe: true, alsoReads: ['reviews'] },
      { method: 'POST', path: '/api/member/leave.do', kind: 'write', alsoWrites: ['reviews'] },
    ],
  },
  capabilities: [
    {
      name: 'reviews',
      team: 'community',
      service: { upstream: 'reviews', database: 'reviews' },
      tables: [rows.review, rows.photo, rows.recommendation],
      references: [rows.member, rows.product],
      routes: [
        {
          method: 'GET',
          path: '/api/review/list.do',
          kind: 'read',
          safe: true,
          isError,
          translate: http.list,
        },
        {
          method: 'GET',
          path: '/api/review/summary.do',
          kind: 'read',
          safe: true,
          isError,
          translate: http.summary,
        },
        // A GET that counts the view: a write, whatever its method says.
        { method: 'GET', path: '/api/review/view.do', kind: 'write', isError },
        { method: 'POST', path: '/api/review/write.do', kind: 'write', isError },
        { method: 'POST', path: '/api/review/modify.do', kind: 'write', isError },
        { method: 'POST', path: '/api/review/delete.do', kind: 'write', isError },
        { method: 'POST', path: '/api/review/recommend.do', kind: 'write', isError },
      ],
    },
    {
      name: 'wishlist',
      team: 'community',
      service: { upstream: 'wishlist', database: 'wishlist' },
      // It moves unchanged: the translator is made from the schema.
      tables: [identity('TB_WISH')],
      references: [],
      routes: [
        { method: 'GET', path: '/api/wish/list.do', kind: 'read', safe: true, isError },
        { method: 'POST', path: '/api/wish/add.do', kind: 'write', isError },
        { method: 'POST', path: '/api/wish/remove.do', kind: 'write', isError },
      ],
    },
  ],
});
