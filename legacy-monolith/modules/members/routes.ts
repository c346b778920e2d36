import type { Database } from '../../database.ts';
import { html, page } from '../../html.ts';
import { answer, param, Refusal, type Routes, redirect, required } from '../../wire.ts';
import { checkPassword, findMember, join, leave } from './service.ts';
import { closeSession, dropSessionCookie, openSession, requireMember } from './session.ts';

/** A path of this shop, and of no other site: `//evil.example` is another site, and so is `/\evil.example`. */
const ownPath = (path: string | undefined): string =>
  path !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(path) ? path : '/products';

export function memberRoutes({ reads, writes }: Routes, db: Database, publicUrl: string | undefined): void {
  writes.post('/api/member/login.do', async (request, reply) => {
    const id = required(request.body, 'mbrId', /./);
    const mbrId = await checkPassword(db, id, required(request.body, 'mbrPw', /./));
    await openSession(db, reply, mbrId);
    return answer(reply, { mbrId });
  });

  writes.post('/api/member/logout.do', async (request, reply) => {
    await closeSession(db, request, reply);
    return answer(reply);
  });

  reads.get('/api/member/me.do', async (request, reply) =>
    answer(reply, { mbr: await findMember(db, await requireMember(db, request)) }),
  );

  writes.post('/api/member/join.do', async (request, reply) => {
    const email = param(request.body, 'emlAddr');
    if (email !== undefined && !/^[\x21-\x7e]+@[\x21-\x7e]+$/.test(email)) throw new Refusal('1001');
    if (email !== undefined && email.length > 100) throw new Refusal('1001');
    const mbrId = required(request.body, 'mbrId', /^[a-z0-9_]{4,20}$/);
    await join(db, {
      mbrId,
      mbrPw: required(request.body, 'mbrPw', /^.{8,100}$/),
      mbrNm: required(request.body, 'mbrNm', /^.{1,50}$/u),
      emlAddr: email,
      mktAgrYn: param(request.body, 'mktAgrYn') === 'Y' ? 'Y' : 'N',
    });
    return answer(reply, { mbrId });
  });

  writes.post('/api/member/leave.do', async (request, reply) => {
    await leave(db, await requireMember(db, request));
    dropSessionCookie(reply);
    return answer(reply);
  });

  reads.get('/login', async (request, reply) => {
    const failed = param(request.query, 'fail') === '1';
    const returnUrl = ownPath(param(request.query, 'returnUrl'));
    return page(
      reply,
      '로그인',
      html`<form class="login" method="post" action="/login">
${failed ? [html`<p class="error">아이디 또는 비밀번호가 올바르지 않습니다.</p>`] : []}
<input type="hidden" name="returnUrl" value="${returnUrl}">
<label>아이디 <input name="mbrId" maxlength="20"></label>
<label>비밀번호 <input name="mbrPw" type="password"></label>
<button>로그인</button>
</form>`,
    );
  });

  writes.post('/login', async (request, reply) => {
    const returnUrl = ownPath(param(request.body, 'returnUrl'));
    try {
      const password = param(request.body, 'mbrPw') ?? '';
      await openSession(db, reply, await checkPassword(db, param(request.body, 'mbrId') ?? '', password));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return redirect(request, reply, publicUrl, `/login?fail=1&returnUrl=${encodeURIComponent(returnUrl)}`);
    }
    return redirect(request, reply, publicUrl, returnUrl);
  });
}
