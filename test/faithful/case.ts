// What a case is: data. Texts are bytes as latin1.

export type Meant = {
  readonly method: string;
  readonly target: string | RegExp;
  /** By default none. */
  readonly body?: string | RegExp;
};

export type RequestCase = {
  /** Stays what it is when others are added. */
  readonly name: string;
  /** In one write each, with a moment between them. */
  readonly send: readonly string[];
  /** What a server may take it for, each a sequence of which a beginning may arrive; none: nothing may arrive. */
  readonly readings: readonly (readonly Meant[])[];
  /** Of the facade's final answers: statuses, with what is allowed instead. Empty: the connection ends without one. */
  readonly ours: string | readonly string[];
  /** Never among the bytes that arrive. */
  readonly never?: RegExp;
  /** Of what arrives, if anything does. */
  readonly always?: RegExp;
  /** What the facade sends upstream, to the letter: it has one normalised path, and cuts what others let through. */
  readonly oursNever?: RegExp;
  readonly oursAlways?: RegExp;
  /** No HTTP at all: the end of the connection is an answer. Or not whole: to wait for more is. */
  readonly without?: 'an answer' | 'an end';
};

export type AnswerCase = {
  readonly name: string;
  readonly asked: { readonly method: string; readonly version: '1.0' | '1.1'; readonly headers?: string };
  readonly say: string;
  /** Said a moment later. */
  readonly late?: string;
  readonly ending: 'keep' | 'close' | 'reset';
  /** A body that the client may be given as a whole one; none: it must not look whole. */
  readonly bodies: readonly string[];
  /** A status, or `broken`: the connection ended before the end of the answer. */
  readonly ours: string | readonly string[];
  readonly never?: RegExp;
  readonly always?: RegExp;
  readonly oursNever?: RegExp;
};
