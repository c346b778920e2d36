// The sample's wiring: AnyCompany's shop, with reviews on their way out of the monolith.
import { identity } from './acl/identity.ts';
import * as reads from './acl/reviews/reads.ts';
import * as rows from './acl/reviews/rows.ts';
import * as writes from './acl/reviews/writes.ts';
import type { IdentityBridge, IsError, IsRefusal } from './capability/capability.ts';
import { defineConfig } from './capability/load-config.ts';

/** Legacy says its errors in HTTP 200. */
const isError: IsError = ({ status, body }) =>
  status >= 500 ||
  (typeof body === 'object' && body !== null && 'resultCode' in body && body.resultCode === '9999');

/** A service says with a problem of its own that the fence has refused a write. */
const isRefusal: IsRefusal = ({ status, body }) =>
  status === 503 &&
  typeof body === 'object' &&
  body !== null &&
  'type' in body &&
  typeof body.type === 'string' &&
  /^urn:[a-z]+:problem:fenced$/.test(body.type);

const userOf: IdentityBridge['userOf'] = ({ body }) => {
  const answer = typeof body === 'object' && body !== null ? body : {};
  const code = 'resultCode' in answer ? answer.resultCode : undefined;
  if (code === '9001') return undefined;
  const member = 'mbr' in answer && typeof answer.mbr === 'object' && answer.mbr !== null ? answer.mbr : {};
  if (code === '0000' && 'mbrId' in member && typeof member.mbrId === 'string') return member.mbrId;
  // Not "nobody": whatever this is, it says nothing about the session.
  throw new Error(`me.do answered with the resultCode ${String(code)}`);
};

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
    identity: {
      cookie: 'SHOPSESSION',
      path: '/api/member/me.do',
      userOf,
      dropAt: [
        { method: 'POST', path: '/login' },
        { method: 'POST', path: '/api/member/login.do' },
        { method: 'POST', path: '/api/member/logout.do' },
        { method: 'POST', path: '/api/member/join.do' },
        { method: 'POST', path: '/api/member/leave.do' },
      ],
    },
    routes: [
      { method: 'GET', path: '/products/:prdNo', kind: 'read', safe: true, alsoReads: ['reviews'] },
      { method: 'GET', path: '/api/product/view.do', kind: 'read', safe: true, alsoReads: ['reviews'] },
      {
        method: 'POST',
        path: '/api/member/leave.do',
        kind: 'write',
        alsoWrites: ['reviews'],
        remedy:
          'who has left is masked when a review is read, by the monolith and by the service; the write of the mask is' +
          ' left out where the fence refuses it',
      },
    ],
  },
  capabilities: [
    {
      name: 'reviews',
      team: 'community',
      service: { upstream: 'reviews', database: 'reviews', isRefusal },
      writers: { legacy: ['shop_app'], service: ['reviews_app'] },
      tables: [rows.review, rows.photo, rows.recommendation],
      references: [rows.member, rows.product],
      // Who may be moved by name: members, by the monolith's session, and who asks for it by a header.
      context: { member: 'user', beta: { header: 'x-beta' } },
      // A shop that earns money leaves the hour and the day that are usual.
      gates: { readsMinutesMin: 0, observedMinutesMin: 0, parityComparedMin: 0 },
      // Nor has it many readers, and its machine does other things, too.
      analysis: { samplesMin: 10, comparedMin: 5, latencyMsMore: 250 },
      routes: [
        {
          method: 'GET',
          path: '/api/review/list.do',
          kind: 'read',
          safe: true,
          isError,
          translate: reads.list,
          // Counts, codes and numbers of reviews are nobody's data; who wrote what is.
          shadow: {
            redact: ['$.rvwList[*].mbrId', '$.rvwList[*].mbrNm', '$.rvwList[*].rvwCtnt'],
            show: [
              '?prdNo',
              '?sort',
              '?page',
              '$.resultCode',
              '$.totCnt',
              '$.avgStar',
              '$.rvwList[*].rvwSeq',
            ],
          },
        },
        {
          method: 'GET',
          path: '/api/review/summary.do',
          kind: 'read',
          safe: true,
          isError,
          translate: reads.summary,
          shadow: { show: ['?prdNo', '$'] },
        },
        // A GET that counts the view: a write, whatever its method says.
        { method: 'GET', path: '/api/review/view.do', kind: 'write', isError, translate: writes.view },
        { method: 'POST', path: '/api/review/write.do', kind: 'write', isError, translate: writes.write },
        { method: 'POST', path: '/api/review/modify.do', kind: 'write', isError, translate: writes.modify },
        { method: 'POST', path: '/api/review/delete.do', kind: 'write', isError, translate: writes.remove },
        {
          method: 'POST',
          path: '/api/review/recommend.do',
          kind: 'write',
          isError,
          translate: writes.recommend,
        },
      ],
    },
    {
      name: 'wishlist',
      team: 'community',
      service: { upstream: 'wishlist', database: 'wishlist', isRefusal },
      writers: { legacy: ['shop_app'], service: ['wishlist_app'] },
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
