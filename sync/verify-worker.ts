// What of verification runs beside one stream: verifying what was asked for, and the keys touched lately.
import type { Logger } from 'pino';
import type { RowTranslator } from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';
import type { Connect } from './connections.ts';
import type { FrameKey } from './frame.ts';
import { printPosition } from './position.ts';
import type { WriteRules } from './statements.ts';
import type { Companion } from './stream.ts';
import type { ThrottleOptions } from './throttle.ts';
import { Touched, type TouchedOptions } from './touched.ts';
import { Verifier } from './verify.ts';
import { Marks } from './verify-marks.ts';
import { planParts } from './verify-plan.ts';
import { Watch } from './verify-watch.ts';

export type ProvingOptions = Pick<TouchedOptions, 'begun' | 'committed' | 'readAgain'> & {
  readonly key: FrameKey;
  readonly translators: readonly RowTranslator[];
  readonly identities: ReadonlySet<string>;
  readonly schemas: Readonly<Record<Side, string>>;
  readonly rules: WriteRules;
  /** Connections that the caller ends. */
  readonly connect: Connect;
  readonly chunkRows: number;
  readonly throttle: ThrottleOptions;
  readonly isApplying: () => boolean;
  readonly log: Logger;
};

export type Proving = {
  readonly companions: readonly Companion[];
  readonly touched: Touched;
  /** Until the signal. @throws when a connection is lost */
  run(signal: AbortSignal): Promise<void>;
};

export async function startProving(options: ProvingOptions): Promise<Proving> {
  const { key, translators, identities, schemas, connect, isApplying, begun, committed, readAgain, log } =
    options;
  const other = key.source === 'legacy' ? 'service' : 'legacy';
  const source = await connect(key.source, 'read');
  const target = await connect(other, 'apply');
  // What was asked for, and what is found, is on the services' server whoever owns.
  const books = other === 'service' ? target : await connect('service', 'apply');
  const connections = { source, target };
  const marks = new Marks(key, source, isApplying);
  const watch = new Watch();
  const looking = { connections, marks, watch };
  const sides = {
    legacy: { sql: key.source === 'legacy' ? source : target, schema: schemas.legacy },
    service: { sql: key.source === 'legacy' ? target : source, schema: schemas.service },
  };
  const touched = new Touched({
    key,
    looking,
    books,
    isApplying,
    begun,
    committed,
    readAgain,
    plan: async () => {
      const parts = [];
      for (const each of translators)
        parts.push(...(await planParts(each, identities.has(each.source.table), key.source, sides)));
      return parts;
    },
    onTrouble: (error) =>
      log.warn(
        { err: error, capability: key.capability, source: key.source },
        'keys that were applied cannot be looked at; "banyan verify" will prove them',
      ),
  });
  const verifier = new Verifier({
    ...options,
    looking,
    books,
    position: () => {
      const state = committed();
      return state ? printPosition(state.position) : '';
    },
    onBegin: (sourceTables) => touched.verifying(sourceTables),
  });
  return {
    companions: [marks, watch, touched],
    touched,
    run: async (signal) => {
      await Promise.all([verifier.run(signal), touched.run(signal)]);
    },
  };
}
