// A member of the sample's shop logs in.
import { expect } from 'vitest';

/** @returns the cookies of the session, as a browser sends them back */
export async function logIn(origin: string, member: string): Promise<string> {
  const response = await fetch(new URL('/api/member/login.do', origin), {
    method: 'POST',
    body: new URLSearchParams({ mbrId: member, mbrPw: 'shop1234' }),
  });
  expect(await response.json()).toMatchObject({ resultCode: '0000' });
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ');
}
