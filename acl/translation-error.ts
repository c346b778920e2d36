export type TranslationFault = {
  readonly capability: string;
  /** The table, or for a payload the name of its object. */
  readonly table: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly field: string;
  /** The value that no codec accepts. Kept off the message: a value may be personal data, a message is logged. */
  readonly value: unknown;
  readonly reason: string;
};

/** A row or a payload that cannot be said in the other side's words. */
export class TranslationError extends Error {
  override name = 'TranslationError';
  readonly code = 'BANYAN_TRANSLATION';
  readonly fault: TranslationFault;
  constructor(fault: TranslationFault) {
    const key = Object.entries(fault.key)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(', ');
    super(`${fault.capability}: ${fault.table} (${key}), field ${fault.field}: ${fault.reason}`);
    this.fault = fault;
  }
}
