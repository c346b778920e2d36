// Who is asking: the SHOPSESSION cookie and its row in TB_LGN_SESS. Every module asks here.
import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { seoulStamp } from '../../clock.ts';
import type { Database } from '../../database.ts';
import { Refusal } from '../../wire.ts';

const cookieName = 'SHOPSESSION';
const sessionMs = 24 * 3_600_000;

type SessionRow = { SESS_ID: string; MBR_ID: string; EXPR_DTM: string };

/** The cookie's value when it can be a session's: 32 random bytes in 43 characters. */
function sessionId(request: FastifyRequest): string | undefined {
  const value = request.cookies[cookieName];
  return value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value) ? value : undefined;
}

/** MBR_ID of the member who is logged in, as it is stored; undefined: nobody is. */
export async function sessionMember(db: Database, request: FastifyRequest): Promise<string | undefined> {
  const id = sessionId(request);
  if (id === undefined) return undefined;
  const row = await db<SessionRow>('TB_LGN_SESS')
    .where('SESS_ID', id)
    .where('EXPR_DTM', '>', seoulStamp())
    .first();
  // The column's collation takes "a" for "A"; a session's key must match to the letter.
  return row?.SESS_ID === id ? row.MBR_ID : undefined;
}

/** @throws Refusal 9001 when nobody is logged in */
export async function requireMember(db: Database, request: FastifyRequest): Promise<string> {
  const mbrId = await sessionMember(db, request);
  if (mbrId === undefined) throw new Refusal('9001');
  return mbrId;
}

/** Begins a session and sets its cookie. */
export async function openSession(db: Database, reply: FastifyReply, mbrId: string): Promise<void> {
  const id = randomBytes(32).toString('base64url');
  const EXPR_DTM = seoulStamp(new Date(Date.now() + sessionMs));
  await db<SessionRow>('TB_LGN_SESS').insert({ SESS_ID: id, MBR_ID: mbrId, EXPR_DTM });
  reply.setCookie(cookieName, id, { path: '/', httpOnly: true, sameSite: 'lax' });
}

/** Ends the session, if there is one, and takes its cookie back. */
export async function closeSession(
  db: Database,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const id = sessionId(request);
  if (id !== undefined) await db<SessionRow>('TB_LGN_SESS').where('SESS_ID', id).delete();
  dropSessionCookie(reply);
}

export function dropSessionCookie(reply: FastifyReply): void {
  reply.clearCookie(cookieName, { path: '/', httpOnly: true, sameSite: 'lax' });
}
