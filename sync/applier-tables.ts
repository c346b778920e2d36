// Banyan's own tables that the applying account writes, and what it may do there: granted by `banyan install`, proven by
// `banyan doctor`.

const all = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;

export type Verb = (typeof all)[number];

export const applierTables: ReadonlyMap<string, readonly Verb[]> = new Map<string, readonly Verb[]>([
  ['banyan_stream', all],
  ['banyan_backfill', all],
  ['banyan_quarantine', all],
  ['banyan_stop', all],
  ['banyan_tripwire', all],
  ['banyan_worker', all],
  ['banyan_verify', all],
  ['banyan_mismatch', all],
  ['banyan_touched', all],
  ['banyan_fence', ['SELECT', 'UPDATE']],
  ['banyan_proven', ['SELECT', 'INSERT', 'UPDATE']],
  ['banyan_proven_up_to', ['SELECT', 'INSERT', 'UPDATE']],
  ['banyan_writer', ['SELECT', 'INSERT', 'UPDATE']],
  ['banyan_written', ['SELECT', 'DELETE']],
  ['banyan_retired', ['SELECT']],
]);
