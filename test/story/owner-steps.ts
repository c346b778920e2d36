// Every step of a change of owner, by words of the statement that it sends, in order; `on` as of a cutover.
export const steps = [
  { step: 'hold', on: 'legacy', words: 'INSERT INTO banyan.banyan_hold' },
  { step: 'acknowledge', on: 'control', words: 'FROM banyan.replica' },
  { step: 'turn', on: 'legacy', words: 'SET turn_id = ' },
  { step: 'drain', on: 'services', words: 'SELECT CAST(source_turn' },
  { step: 'xa', on: 'legacy', words: 'XA RECOVER' },
  { step: 'probe', on: 'services', words: 'FOR UPDATE' },
  // What is proven, either way, stands beside the service's rows.
  { step: 'check', on: 'services', back: 'services', words: 'banyan.banyan_proven' },
  { step: 'close', on: 'legacy', words: 'banyan_fence SET owner' },
  { step: 'release', on: 'legacy', words: 'DELETE FROM banyan.banyan_hold' },
  { step: 'record', on: 'control', words: 'UPDATE capability SET' },
] as const;
