// `banyan verify --json`, as its reader gets it.
import type { Pair } from '../sync/pair.ts';

export type VerifyResult = {
  readonly ok: boolean;
  readonly evidence: 'recorded' | 'withdrawn' | 'unchanged';
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  readonly roundTrip: number;
  readonly quarantined: number;
  readonly unproven: number;
  readonly repaired: number;
  readonly tables: readonly {
    readonly table: string;
    readonly owner: string;
    readonly method: string;
    readonly rows: number;
    readonly readRows: number;
    readonly missing: number;
    readonly extra: number;
    readonly different: number;
    readonly error: string | null;
    readonly examples: readonly {
      readonly class: string;
      readonly table: string;
      readonly key: Readonly<Record<string, unknown>>;
      readonly columns: readonly string[];
      readonly values?: unknown;
    }[];
  }[];
};

export async function verified(pair: Pair, capability: string, ...words: string[]): Promise<VerifyResult> {
  const { stdout, stderr } = await pair.banyan('verify', capability, '--json', ...words);
  if (stdout.trim() === '') throw new Error(`verify said nothing: ${stderr}`);
  return JSON.parse(stdout);
}
