// A real monolith, a real reviews service that has its rows, and how a write reaches each: straight, or through the
// translators as the facade does it. The monolith that is consulted is the one that is compared with: members,
// products, orders and photos stay in it.
import { exportJWK, generateKeyPair } from 'jose';
import { Pool, request } from 'undici';
import { jsonText } from '../../acl/http.ts';
import * as rows from '../../acl/reviews/rows.ts';
import type { RowTranslator } from '../../acl/translator.ts';
import { loadConfig } from '../../capability/load-config.ts';
import { createReviewsService } from '../../extracted/reviews/service.ts';
import { migrations, type TestDatabase, testDatabase } from '../../extracted/reviews/test-database.ts';
import { jsonOrText } from '../../facade/ask.ts';
import { askAside } from '../../facade/ask-aside.ts';
import { createIdentities, type Identities, readSigningKey } from '../../facade/identity-bridge.ts';
import { parseFacadeOptions } from '../../facade/options.ts';
import { oneUpstream } from '../../facade/test-servers.ts';
import { type TranslatedWrite, translateWrite } from '../../facade/translate-write.ts';
import { type TestShop, testShop } from '../../legacy-monolith/test-shop.ts';

const limits = parseFacadeOptions([], {});

export const formType = 'application/x-www-form-urlencoded';

/** A write as a client sends it. */
export type Step = {
  readonly path: string;
  readonly query?: string;
  readonly cookie?: string;
  readonly contentType?: string;
  readonly body?: string;
};

export type Said = { readonly status: number; readonly text: string };

export type TwoSides = {
  readonly shop: TestShop;
  /** The service's. */
  readonly database: TestDatabase;
  readonly identities: Identities;
  byMonolith(step: Step): Promise<Said>;
  /** As the facade does it: who is it, what does the monolith say, what does the service answer. */
  translated(step: Step): Promise<TranslatedWrite>;
  byService(step: Step): Promise<Said>;
  [Symbol.asyncDispose](): Promise<void>;
};

const methodOf = ({ path }: Step) => (path.endsWith('view.do') ? 'GET' : 'POST');

/** Copies a table of the shop, translated; the triggers of the schema count what is copied, as they do in life. */
async function copy(translator: RowTranslator, shop: TestShop, database: TestDatabase): Promise<void> {
  const { table } = translator.source;
  const translated = (await shop.database.rows(`SELECT * FROM ${table}`)).flatMap((row) =>
    translator.forward(row),
  );
  for (let at = 0; at < translated.length; at += 500) {
    const chunk = translated.slice(at, at + 500).map(({ columns }) => columns);
    const names = Object.keys(chunk[0] ?? {});
    await database.sql.query(`INSERT INTO ${translator.targets[0]?.table} (${names.join(', ')}) VALUES ?`, [
      chunk.map((columns) => names.map((name) => columns[name])),
    ]);
  }
}

async function keyPair() {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    identity: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] },
    key: await readSigningKey(JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'k' })),
  };
}

/** What the sample declares. */
async function declared() {
  const config = await loadConfig(new URL('../../banyan.config.ts', import.meta.url).pathname);
  const reviews = config.capabilities.find(({ name }) => name === 'reviews');
  if (!config.legacy.identity || !reviews)
    throw new Error('the sample declares reviews and its identity bridge');
  const translators = new Map(
    reviews.routes.flatMap((route) =>
      route.kind === 'write' && route.translate ? [[route.path, route.translate] as const] : [],
    ),
  );
  return { declaration: config.legacy.identity, isRefusal: reviews.service.isRefusal, translators };
}

async function consult(pool: Pool, path: string, method: 'GET' | 'HEAD', cookie: string | undefined) {
  const answer = await pool.request({ method, path, headers: { ...(cookie && { cookie }) } });
  return { status: answer.statusCode, body: jsonOrText(await answer.body.text()) };
}

export async function startTwoSides(): Promise<TwoSides> {
  const [shop, database, { identity, key }, { declaration, isRefusal, translators }] = await Promise.all([
    testShop(300),
    testDatabase(),
    keyPair(),
    declared(),
  ]);
  const service = await createReviewsService({
    databaseUrl: database.url,
    migrations,
    logLevel: 'silent',
    identity,
  });
  const reviews = oneUpstream(await service.app.listen({ host: '127.0.0.1', port: 0 }));
  const legacyPool = new Pool(shop.url);
  const legacyUpstream = oneUpstream(shop.url);
  for (const translator of Object.values(rows)) await copy(translator, shop, database);
  const [last] = await shop.database.rows('SELECT MAX(RVW_SEQ) AS id FROM TB_RVW_MST');
  await shop.database.sql.query('ALTER TABLE TB_RVW_MST AUTO_INCREMENT = ?', [Number(last?.id) + 1]);
  await database.sql.query('ALTER TABLE review AUTO_INCREMENT = ?', [Number(last?.id) + 1]);
  const identities = createIdentities({ declaration, askLegacy: askAside(legacyUpstream), key, limits });

  async function translated(step: Step): Promise<TranslatedWrite> {
    const { path, query = '', cookie, contentType, body = '' } = step;
    const translator = translators.get(path);
    if (!translator) throw new Error(`${path} has no translator`);
    const user = await identities.userOf(cookie);
    const legacy = {
      method: methodOf(step),
      path,
      query: new URLSearchParams(query),
      contentType,
      body: Buffer.from(body),
      user,
    };
    return translateWrite(translator, legacy, {
      upstream: reviews,
      headers: await identities.headersFor(user, 'reviews'),
      limits,
      isRefusal,
      isError: undefined,
      consult: (question, method) => consult(legacyPool, question, method, cookie),
    });
  }

  return {
    shop,
    database,
    identities,
    translated,
    async byMonolith(step) {
      const { path, query = '', cookie, contentType, body } = step;
      const { statusCode, body: answer } = await request(shop.url + path + query, {
        method: methodOf(step),
        headers: { ...(cookie && { cookie }), ...(contentType && { 'content-type': contentType }) },
        ...(body !== undefined && { body }),
      });
      return { status: statusCode, text: await answer.text() };
    },
    async byService(step) {
      const result = await translated(step);
      if (result.is === 'refused') throw new Error('there is no fence here');
      return { status: result.answer.status, text: jsonText(result.answer.body) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([reviews.stop(), legacyUpstream.stop(), legacyPool.destroy()]);
      await service.stop();
      await database[Symbol.asyncDispose]();
      await shop[Symbol.asyncDispose]();
    },
  };
}
