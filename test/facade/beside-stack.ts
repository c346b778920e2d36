// Facades and services of a suite's own beside the sample that runs: on its databases, and by its keys and flags.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { identityKeysIn } from '../../scripts/identity-keys.ts';
import { type SupervisedProcess, startProcess } from '../../scripts/supervise.ts';
import { asAccount } from '../as-account.ts';
import { claimFolder } from '../claimed-folder.ts';
import type { RunningStack } from '../story/stack.ts';
import { type FacadeProcess, startFacadeProcess } from './facade-process.ts';

export type ReviewsProcess = SupervisedProcess & { readonly url: string };

export type BesideStack = {
  /** @param reviews where the instances of the service are; @param config instead of the sample's */
  startFacade(reviews: readonly string[], config?: string): Promise<FacadeProcess>;
  /** One more instance of the service. @param port 0: any that is free */
  startReviews(port?: number): Promise<ReviewsProcess>;
  /** Stops what it has started; the stack goes on. */
  [Symbol.asyncDispose](): Promise<void>;
};

const root = join(import.meta.dirname, '..', '..');

export async function startBeside(stack: RunningStack): Promise<BesideStack> {
  const runFolder = await claimFolder('beside');
  const keys = await identityKeysIn(stack.folder);
  const { control, legacy, services } = stack.databases;
  const [legacyUpstream, wishlistUpstream] = [
    `legacy=${stack.legacy}`,
    `wishlist=${stack.services.wishlist}`,
  ];
  const started: SupervisedProcess[] = [];
  const nextName = (part: string) => `${part}-${started.length + 1}`;
  return {
    async startFacade(reviews, config = join(root, 'banyan.config.ts')) {
      const instances = reviews.map((url) => `reviews=${url}`);
      const facade = await startFacadeProcess({
        name: nextName('facade'),
        runFolder,
        config,
        token: stack.token,
        databases: {
          control: asAccount(stack.folder, 'banyan_facade', control),
          legacy: asAccount(stack.folder, 'banyan_facade', legacy, '/'),
          services: asAccount(stack.folder, 'banyan_facade', services, '/'),
        },
        env: {
          BANYAN_IDENTITY_KEY: keys.privateKey,
          BANYAN_FLAGS: stack.flags,
          BANYAN_LOG_LEVEL: 'warn',
          BANYAN_UPSTREAMS: [legacyUpstream, ...instances, wishlistUpstream].join(),
        },
      });
      started.push(facade);
      return facade;
    },
    async startReviews(port = 0) {
      const service = await startProcess({
        name: nextName('reviews'),
        runFolder,
        run: [join(root, 'extracted', 'reviews', 'server.ts')],
        env: {
          REVIEWS_DATABASE_URL: asAccount(stack.folder, 'reviews_app', services),
          REVIEWS_PORT: String(port),
          REVIEWS_IDENTITY_KEYS: keys.publicKeys,
          REVIEWS_LOG_LEVEL: 'warn',
        },
      });
      started.push(service);
      return { ...service, url: service.said.listening ?? '' };
    },
    async [Symbol.asyncDispose]() {
      for (const each of started.reverse()) await each.stop();
      rmSync(runFolder.path, { recursive: true, force: true });
    },
  };
}
