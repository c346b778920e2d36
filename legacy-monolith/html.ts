// The look of the shop's pages.
import type { FastifyReply } from 'fastify';

/** Markup that is safe to put on a page. */
export type Html = { readonly markup: string };

/**
 * `&#N;` stays: it is how a stored text says what euckr lacks, and the browser shows the character. The rest
 * of the text is escaped.
 */
export const escapeHtml = (text: string): string =>
  text
    .replace(/&(?!#\d{1,7};)/g, '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

/** Markup with its values escaped, except where they are markup themselves. */
export function html(
  strings: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  const text = (value: (typeof values)[number]): string => {
    if (typeof value === 'string') return escapeHtml(value);
    if (typeof value === 'number') return String(value);
    return 'markup' in value ? value.markup : value.map((part) => part.markup).join('');
  };
  return { markup: String.raw({ raw: strings }, ...values.map(text)) };
}

/** Answers with a whole page. */
export function page(reply: FastifyReply, title: string, body: Html): FastifyReply {
  const whole = html`<!DOCTYPE html>
<html lang="ko">
<head><meta charset="UTF-8"><title>${title} - AnyCompany</title><link rel="stylesheet" href="/static/shop.css"></head>
<body>
<div id="header"><a href="/products">AnyCompany</a> <a href="/login">로그인</a></div>
<div id="content">
<h1>${title}</h1>
${body}
</div>
<div id="footer">&copy; 2003 AnyCompany</div>
</body>
</html>
`;
  return reply.header('content-type', 'text/html;charset=UTF-8').send(whole.markup);
}

/** 404, as a page: also for what looks like the API. */
export const notFoundPage = (reply: FastifyReply): FastifyReply =>
  page(
    reply.code(404),
    '페이지를 찾을 수 없습니다',
    html`<p>주소를 다시 확인해 주세요. <a href="/products">상품 목록</a></p>`,
  );

/** 12000.00 as 12,000원. */
export const won = (decimal: string): string =>
  `${(decimal.split('.')[0] ?? '0').replace(/\B(?=(\d{3})+$)/g, ',')}원`;

/** 20231101093000 as 2023.11.01. */
export const day = (stamp: string): string =>
  `${stamp.slice(0, 4)}.${stamp.slice(4, 6)}.${stamp.slice(6, 8)}`;
